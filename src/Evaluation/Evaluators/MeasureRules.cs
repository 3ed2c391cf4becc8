using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Positions;

namespace Trainer.Evaluation.Evaluators;

/// <summary>Which models can be measured how.</summary>
public static class MeasureRules
{
    /// <summary>What is wrong with the measures of a recipe, with paths from its root.</summary>
    /// <param name="measures">The entries of <c>evaluation.measures</c>.</param>
    /// <param name="model">The model of the recipe.</param>
    /// <param name="data">The data of the recipe.</param>
    public static IEnumerable<Problem> Check(IReadOnlyList<MeasureOptions> measures, ModelOptions model, DataOptions data)
    {
        for (int i = 0; i < measures.Count; i++)
        {
            string path = $"evaluation.measures.{i}";
            if (measures.Take(i).Any(earlier => earlier.Title == measures[i].Title))
                yield return new($"{path}.name", $"'{measures[i].Title}' is the name of an earlier measure, whose curves would be mixed with these; give this one another name");
            foreach (Problem problem in measures[i].ValidateFor(model, data)) yield return problem with { Path = problem.Path.Length == 0 ? path : $"{path}.{problem.Path}" };
        }
    }

    /// <summary>Texts in one piece are for decoders that are trained on such.</summary>
    internal static IEnumerable<Problem> NeedsText(ModelOptions model, DataOptions data, string kind)
    {
        if (model is not DecoderOptions)
            yield return new("type", $"'{kind}' is for decoders, which predict each token from those before it; this model sees what it would have to predict, or reads another text beside it: use 'accuracy'");
        else if (data.IsPaired)
            yield return new("type", $"'{kind}' measures texts in one piece, and data.packing 'pairs' scores only what answers; use 'accuracy'");
    }

    /// <summary>Lengths that a model with learned positions has no positions for.</summary>
    internal static IEnumerable<Problem> NeedsPositions(ModelOptions model, string path, IEnumerable<int> lengths)
    {
        if (model.Position is LearnedOptions && lengths.DefaultIfEmpty().Max() is var longest && longest > model.ContextLength)
            yield return new(path, $"{longest} positions are more than the {model.ContextLength} that the model learns; use at most model.contextLength, or another model.position");
    }
}
