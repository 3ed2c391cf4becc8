using System.Globalization;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Training.Adapting;

/// <summary>A variant of a model: the recipe that trains it from the model's weights, and its bytes of cache for each token.</summary>
internal sealed record AdaptCandidate(string Name, Recipe Recipe, double CacheBytesPerToken);

/// <summary>The variants of a model: fewer key-value heads, windows in most layers, a longer context, and all combinations.</summary>
internal static class AdaptCandidates
{
    private const long FewestSteps = 20, Share = 20;
    private const int SmallestWindow = 16, LayersPerGlobalOne = 4;

    // Of the context.
    private static readonly int[] Parts = [4, 8];

    /// <summary>All that can be built, without the model as it is.</summary>
    /// <exception cref="ConfigurationException">The context cannot be had.</exception>
    public static IReadOnlyList<AdaptCandidate> Of(Recipe recipe, string checkpoint, AdaptRequest request, int vocabularySize)
    {
        int context = request.Context ?? recipe.Model.ContextLength;
        long steps = request.Steps ?? Math.Max(FewestSteps, recipe.Training.Steps / Share);
        return
        [
            .. from stretched in Stretched(recipe.Model, context, request.Scaling)
               from windowed in Windowed(stretched.Model, context)
               from heads in Heads(recipe.Model)
               where stretched.Name.Length + windowed.Name.Length > 0 || heads is not null
               let candidate = Trained(recipe, checkpoint, windowed.Model, heads, steps)
               where IsValid(candidate)
               let cost = ModelCost.Of(candidate.Resolve().Model, vocabularySize)
               select new AdaptCandidate(
                   Named(heads, windowed.Name, stretched.Name), candidate, (double)cost.CacheBytes(context) / context),
        ];
    }

    /// <summary>Of the context: what a text of that length takes, divided by its length.</summary>
    public static double CacheBytesPerToken(ModelOptions model, int vocabularySize) =>
        (double)ModelCost.Of(model, vocabularySize).CacheBytes(model.ContextLength) / model.ContextLength;

    private static IEnumerable<(string Name, ModelOptions Model)> Stretched(ModelOptions model, int context, IReadOnlyList<string> methods)
    {
        if (context == model.ContextLength) return [("", model)];
        if (context < model.ContextLength)
            throw new ConfigurationException([new("--context", $"{context} is less than the model's context of {model.ContextLength}, " +
                "which it can be used with as it is; leave it out, or give more")], "command line");
        double factor = (double)context / model.ContextLength;
        ContextExtension[] extensions = [.. methods.Select(method => new ContextExtension(method, factor))];
        Problem[] problems = [.. extensions.SelectMany(extension => extension.Problems(model, "--rope-scaling", "--context")).Distinct()];
        return problems.Length == 0
            ? extensions.Select(extension => (extension.Method, extension.Apply(model)))
            : throw new ConfigurationException(problems, "command line");
    }

    private static IEnumerable<(string Name, ModelOptions Model)> Windowed(ModelOptions model, int context)
    {
        yield return ("", model);
        if (model.LayerPattern is not null || model.Attention.Pattern is not (null or CausalOptions)) yield break;
        int group = Math.Min(LayersPerGlobalOne, model.Layers);
        foreach (int part in Parts)
            if (context / part is >= SmallestWindow and var window)
            {
                AttentionOptions local = model.Attention with { Pattern = new SlidingOptions { Window = window } };
                if (group > 1)
                    yield return (Text($"window {window} in {group - 1} of {group} layers"), model with
                    {
                        LayerPattern = [new() { Repeat = group - 1, Attention = local }, new() { Attention = model.Attention }],
                    });
                yield return (Text($"window {window}"), model with { Attention = local });
            }
    }

    // Null for those there are.
    private static IEnumerable<int?> Heads(ModelOptions model) =>
    [
        null,
        .. GroupedQueryModel.Choices(model).Select(heads => (int?)heads),
    ];

    private static string Named(int? heads, string window, string scaling)
    {
        string keys = heads is null ? "" : Text($"{heads} key-value {(heads == 1 ? "head" : "heads")}");
        return string.Join(", ", new[] { keys, window, scaling }.Where(part => part.Length > 0));
    }

    private static Recipe Trained(Recipe recipe, string checkpoint, ModelOptions model, int? heads, long steps)
    {
        // As many tokens a step, and at once, as before.
        int Fit(int rows) => Math.Max(1, (int)((long)rows * recipe.Model.ContextLength / model.ContextLength));
        int micro = Fit(recipe.Training.MicroBatch);
        return recipe with
        {
            Model = model,
            Initialize = new() { From = checkpoint, Convert = heads is { } count ? new() { KeyValueHeads = count } : null },
            Training = recipe.Training with
            {
                Steps = steps,
                BatchSize = micro * Math.Max(1, Fit(recipe.Training.BatchSize) / micro),
                MicroBatchSize = micro,
                Stages = null,
            },
            // A decay to a step of the run ends with these steps.
            Schedule = (recipe.Schedule is DecayAfterWarmup decay ? decay with { DecaySteps = null } : recipe.Schedule) with
            {
                WarmupSteps = (int)Math.Min(recipe.Schedule.WarmupSteps, steps / 10),
            },
            Evaluation = recipe.Evaluation with { Every = 0, Measures = [] },
            Checkpoint = recipe.Checkpoint with { Every = 0 },
            Monitoring = recipe.Monitoring with { Samples = [] },
        };
    }

    private static bool IsValid(Recipe recipe)
    {
        try
        {
            ConfigurationJson.Deserialize<Recipe>(ConfigurationJson.Serialize(recipe), "variant");
            return true;
        }
        catch (ConfigurationException)
        {
            return false;
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
