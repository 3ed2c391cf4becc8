using Trainer.Configuration;
using Trainer.Transformers;
using Trainer.Transformers.Positions;

namespace Trainer.Training.Measures;

/// <summary>Which models can be measured how.</summary>
internal static class MeasureRules
{
    /// <summary>What is wrong with the measures of a recipe, with paths from its root.</summary>
    public static IEnumerable<Problem> Check(Recipe recipe)
    {
        IReadOnlyList<MeasureOptions> measures = recipe.Evaluation.Measures;
        for (int i = 0; i < measures.Count; i++)
        {
            string path = $"evaluation.measures.{i}";
            if (measures.Take(i).Any(earlier => earlier.Title == measures[i].Title))
                yield return new($"{path}.name", $"'{measures[i].Title}' is the name of an earlier measure, whose curves would be mixed with these; give this one another name");
            foreach (Problem problem in measures[i].ValidateFor(recipe)) yield return problem with { Path = problem.Path.Length == 0 ? path : $"{path}.{problem.Path}" };
        }
    }

    /// <summary>Texts in one piece are for decoders that are trained on such.</summary>
    public static IEnumerable<Problem> NeedsText(Recipe recipe, string kind)
    {
        if (recipe.Model is not DecoderOptions)
            yield return new("type", $"'{kind}' is for decoders, which predict each token from those before it; this model sees what it would have to predict, or reads another text beside it: use 'accuracy'");
        else if (recipe.Data.IsPaired)
            yield return new("type", $"'{kind}' measures texts in one piece, and data.packing 'pairs' scores only what answers; use 'accuracy'");
    }

    /// <summary>Lengths that a model with learned positions has no positions for.</summary>
    public static IEnumerable<Problem> NeedsPositions(Recipe recipe, string path, IEnumerable<int> lengths)
    {
        if (recipe.Model.Position is LearnedOptions && lengths.DefaultIfEmpty().Max() is var longest && longest > recipe.Model.ContextLength)
            yield return new(path, $"{longest} positions are more than the {recipe.Model.ContextLength} that the model learns; use at most model.contextLength, or another model.position");
    }
}
