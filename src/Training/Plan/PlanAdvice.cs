using Trainer.Models;

namespace Trainer.Training.Plan;

/// <summary>What other attention variants would cost, and which rules of thumb speak for one.</summary>
public sealed record PlanAdvice
{
    private const long Large = 7_000_000_000;
    private const int LongContext = 32_768;
    private const int BatchOfServing = 16;

    /// <summary>The model as it is, and with other attention variants.</summary>
    public required IReadOnlyList<AlternativeFigures> Alternatives { get; init; }

    /// <summary>Rules of thumb that speak for one of them.</summary>
    public required IReadOnlyList<string> Rules { get; init; }

    internal static PlanAdvice Of(ModelOptions model, int vocabularySize)
    {
        IReadOnlyList<ModelAlternative> alternatives = ModelAlternatives.Of(model, vocabularySize);
        return new()
        {
            Alternatives = [.. alternatives.Select(alternative => AlternativeFigures.Of(alternative, model.ContextLength))],
            Rules = [.. RulesFor(model, alternatives[0].Cost)],
        };
    }

    private static IEnumerable<string> RulesFor(ModelOptions model, ModelCost cost)
    {
        if (model is EncoderOptions)
        {
            yield return "an encoder keeps no cache: multi-head is fine";
            yield break;
        }
        long cache = BatchOfServing * cost.CacheBytes(model.ContextLength), weights = sizeof(float) * cost.Parameters;
        if (cost.Parameters > Large)
            yield return "over 7 B parameters: 4 to 8 key-value heads cost next to nothing in quality (Ainslie et al. 2023)";
        else if (cache > weights)
            yield return $"{BatchOfServing} texts of the whole context remember more than the weights take: share key-value heads " +
                "(grouped-query), or compress them (latent)";
        else
            yield return "a model of this size remembers less than its weights take: multi-head is fine";
        if (model.ContextLength > LongContext)
            yield return "a context over 32k: alternate windows and full attention, three or five to one (Mistral, Gemma)";
    }
}

/// <summary>The costs of one variant.</summary>
public sealed record AlternativeFigures
{
    /// <summary>The variant's name.</summary>
    public required string Name { get; init; }

    /// <summary>Learned numbers.</summary>
    public required long Parameters { get; init; }

    /// <summary>Forward FLOPs per token with a full context.</summary>
    public required double ForwardFlopsPerToken { get; init; }

    /// <summary>Cache bytes per token.</summary>
    public required long CacheBytesPerToken { get; init; }

    /// <summary>Bytes of the weights and a full cache.</summary>
    public required long DecodingBytes { get; init; }

    internal static AlternativeFigures Of(ModelAlternative alternative, int context) => new()
    {
        Name = alternative.Name,
        Parameters = alternative.Cost.Parameters,
        ForwardFlopsPerToken = alternative.Cost.ForwardFlopsPerToken(context),
        CacheBytesPerToken = alternative.Cost.CacheBytesPerToken(),
        DecodingBytes = sizeof(float) * alternative.Cost.Parameters + alternative.Cost.CacheBytes(context),
    };
}
