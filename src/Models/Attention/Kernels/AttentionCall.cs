// Shapes: B batch, T query positions, S key positions, H query heads, G key-value heads, D head dimension.
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>One call of an attention kernel.</summary>
/// <param name="Query">(B, H, T, D)</param>
/// <param name="Key">(B, G, S, D); G divides H and consecutive query heads share a key head.</param>
/// <param name="Value">(B, G, S, D)</param>
/// <param name="Pattern">Who may see whom.</param>
/// <param name="Queries">Where the T queries stand.</param>
/// <param name="Keys">Where the S keys stand.</param>
/// <param name="Scale">The factor on QKᵀ.</param>
/// <param name="Masks">Masks made before, for patterns and lengths that need one.</param>
internal readonly record struct AttentionCall(
    Tensor Query, Tensor Key, Tensor Value, AttentionPattern Pattern, PositionSpan Queries, PositionSpan Keys, double Scale, MaskStore Masks)
{
    /// <summary>Queries that <see cref="FlashAttention"/> is worth its preparations for: with fewer, libtorch's kernel has nothing to lose either.</summary>
    public const int FewestRows = 16;

    /// <summary>Which weights are dropped: none outside training.</summary>
    public CounterDropout Dropout { get; init; }

    /// <summary>Bounds scores s to cap·tanh(s / cap), before the bias; null for no bound.</summary>
    public double? SoftCap { get; init; }

    /// <summary>What positions add to the scaled scores; null where they add nothing.</summary>
    public ScoreBias? Bias { get; init; }

    /// <summary>Which queries and keys belong together, whatever the pattern allows; null where all of a row do.</summary>
    public DocumentIds? Documents { get; init; }

    /// <summary>Query heads per key-value head.</summary>
    public int Sharing => (int)(Query.size(1) / Key.size(1));

    /// <summary>Whether there are so many queries that a kernel's preparations count little.</summary>
    public bool IsLong => Queries.Count >= 128;

    /// <summary>Whether the kernel's own causal flag says it all: the queries are the keys, and one document.</summary>
    public bool IsSquareCausal => Documents is null && Pattern.Shape == PatternShape.Causal && Queries == Keys && Queries.Count > 1;

    /// <summary>Whether every query sees every key: a full pattern, or the last position of a causal one.</summary>
    public bool SeesEverything =>
        Documents is null && (Pattern.Shape == PatternShape.Full || (Pattern.Shape == PatternShape.Causal && Queries.Count == 1));

    /// <summary>The bounds of documents that stand side by side, from <see cref="DocumentIds.Spans"/>; null where there are none, or few queries.</summary>
    public Tensor? Spans => Queries.Count >= FewestRows ? Documents?.Spans(Queries.Count) : null;

    /// <summary>Whether <see cref="FlashAttention"/> computes it: whole sequences under a pattern that is a band, documents side by side if there are several, nothing
    /// put on the scores.</summary>
    public bool IsBand =>
        Queries.Count >= FewestRows && (Documents is null || Spans is not null) && Bias is null && SoftCap is null
        && Pattern.Band is not null && (Pattern.Shape == PatternShape.Full || (Queries == Keys && Queries.Sinks == 0)) && FlashAttention.IsSupported(Query, Key, Value);

    /// <summary>The result, (B, H, T, D), where <see cref="IsBand"/>.</summary>
    public Tensor AttendBand()
    {
        PatternBand band = Pattern.Band!.Value;
        return FlashAttention.Attend(Query, Key, Value, Scale, band.Before, band.After, Dropout, Spans);
    }

    /// <summary>The mask, bool, true where visible: (T, S), or (B, 1, T, S) where documents are kept apart.</summary>
    public Tensor Mask()
    {
        if (Documents is not null && Pattern.Shape == PatternShape.Full) return Documents.Together; // (B, 1, T|1, S)
        Tensor visible = Masks.Get(Pattern, Queries, Keys, Query.device);
        return Documents is null ? visible : Documents.Within(visible);
    }

    /// <summary>The pairs that the pattern leaves visible, as tiles.</summary>
    public TilePlan Plan() => Masks.Plan(Pattern, Queries, Keys, Query.device);
}
