using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101), decay on matrices only.</summary>
public sealed record AdamWOptions : OptimizerOptions, IValidated
{
    /// <summary>Decay rates of the running means of the gradient and of its square.</summary>
    [Description("Decay rates of the running means of the gradient and of its square.")]
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.95];

    /// <summary>Share of each matrix, times the learning rate, that is taken away every step. Parameters of rank below 2
    /// (norms, biases) never decay.</summary>
    [Description("Weight decay of matrices; parameters of rank below 2 (norms, biases) never decay.")]
    [Range(0.0, double.MaxValue)]
    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Added to the denominator.</summary>
    [Description("Added to the denominator of the update.")]
    [Range(0.0, 1.0)]
    public double Epsilon { get; init; } = 1e-8;

    /// <inheritdoc/>
    public override Optimizer Build(IReadOnlyList<(string Name, Parameter Value)> parameters) => new AdamW(this, parameters);

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Betas.Count != 2)
            yield return new("betas", $"has {Betas.Count} {(Betas.Count == 1 ? "value" : "values")}; two are needed, such as [0.9, 0.95]");
        for (int i = 0; i < Betas.Count; i++)
            if (!(Betas[i] >= 0 && Betas[i] < 1))
                yield return new($"betas.{i}", $"is {Betas[i]}; it must be at least 0 and below 1");
    }
}
