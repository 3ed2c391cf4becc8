using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Models;

/// <summary>A model, or one like it with the attention that the name says.</summary>
public sealed record ModelAlternative(string Name, ModelCost Cost);

/// <summary>What a model would cost with other attention.</summary>
public static class ModelAlternatives
{
    private const int QueryHeadsPerGroup = 4;
    private const int LayersPerGlobalOne = 4;
    private const int WindowsPerContext = 8;

    /// <summary>The model and, if they can be built, MHA, GQA, MQA, MLA, and windows of 1/8 of the context in 3 of 4 layers.</summary>
    public static IReadOnlyList<ModelAlternative> Of(ModelOptions model, int vocabularySize)
    {
        (string Name, ModelOptions Model)[] all =
        [
            ("as given", model),
            ("multi-head", With(model, new MultiHeadOptions { Heads = model.Attention.Heads })),
            .. Grouped(model),
            ("multi-query", With(model, new MultiQueryOptions { Heads = model.Attention.Heads })),
            ("latent", With(model, new LatentOptions { Heads = model.Attention.Heads })),
            .. Windows(model),
        ];
        return [.. all.Where(entry => entry.Model == model || !ModelValidation.All(entry.Model).Any())
            .Select(entry => new ModelAlternative(entry.Name, ModelCost.Of(entry.Model, vocabularySize)))];
    }

    private static IEnumerable<(string, ModelOptions)> Grouped(ModelOptions model)
    {
        int heads = model.Attention.Heads;
        int groups = Enumerable.Range(1, heads).Where(count => heads % count == 0 && count > 1 && count < heads)
            .OrderBy(count => Math.Abs(count * QueryHeadsPerGroup - heads)).FirstOrDefault();
        if (groups > 0)
            yield return ($"grouped-query, {groups} key-value heads",
                With(model, new GroupedQueryOptions { Heads = heads, KeyValueHeads = groups }));
    }

    private static IEnumerable<(string, ModelOptions)> Windows(ModelOptions model)
    {
        int window = model.ContextLength / WindowsPerContext;
        if (window < 1 || !model.IsCausal || model.LayerPattern is not null) yield break;
        PatternOptions sliding = new SlidingOptions { Window = window };
        yield return ($"window of {window} in 3 of 4 layers", model with
        {
            LayerPattern =
            [
                new() { Repeat = LayersPerGlobalOne - 1, Attention = model.Attention with { Pattern = sliding } },
                new() { Attention = model.Attention with { Pattern = null } },
            ],
        });
    }

    // All settings but the projection's stay.
    private static ModelOptions With(ModelOptions model, AttentionOptions projection)
    {
        AttentionOptions given = model.Attention;
        AttentionOptions attention = projection with
        {
            Pattern = given.Pattern,
            Kernel = given.Kernel,
            QueryKeyNorm = given.QueryKeyNorm && projection is HeadProjectionOptions,
            Scale = given.Scale,
            SoftCap = given.SoftCap,
            ScalableSoftmax = given.ScalableSoftmax,
            Temperature = given.Temperature,
            Bias = given.Bias,
            OutputBias = given.OutputBias,
            Cache = given.Cache,
        };
        if (given is HeadProjectionOptions { HeadDim: { } width } && attention is HeadProjectionOptions heads)
            attention = heads with { HeadDim = width };
        if (given is HeadProjectionOptions { ValueEmbedding: true } && attention is HeadProjectionOptions embedding)
            attention = embedding with { ValueEmbedding = true };
        return model with
        {
            Attention = attention,
            LayerPattern = model.LayerPattern?.Select(group => group.Attention is { } own
                ? group with { Attention = attention with { Pattern = own.Pattern } }
                : group).ToArray(),
        };
    }
}
