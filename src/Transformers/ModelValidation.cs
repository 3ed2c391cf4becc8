using Trainer.Configuration;
using Trainer.Transformers.Attention.Kernels;

namespace Trainer.Transformers;

/// <summary>The rules between the parts of a model.</summary>
internal static class ModelValidation
{
    /// <summary>Rules of the model and of each of its parts, as the configuration loader would gather them.</summary>
    public static IEnumerable<Problem> All(ModelOptions model) =>
    [
        .. model.Validate(),
        .. Under("attention", model.Attention.Validate()),
        .. Under("position", model.Position.Validate()),
        .. Under("feedForward", model.FeedForward.Validate()),
        .. Under("norm", model.Norm.Validate()),
    ];

    /// <summary>Rules that concern more than one part.</summary>
    public static IEnumerable<Problem> BetweenParts(ModelOptions model)
    {
        int heads = model.Attention.Heads;
        if (heads < 1 || model.Dim < 1) return [];
        if (model.Dim % heads != 0)
            return [new("attention.heads", $"heads ({heads}) must divide dim ({model.Dim}); try {Divisors.Near(model.Dim, heads)}")];
        return
        [
            .. Under("position", model.Position.Against(model)),
            .. Under("attention", KernelSelection.Problems(model.Attention, model.Attention.HeadDim(model.Dim))),
        ];
    }

    private static IEnumerable<Problem> Under(string path, IEnumerable<Problem> problems) =>
        problems.Select(problem => problem with { Path = problem.Path.Length == 0 ? path : $"{path}.{problem.Path}" });
}
