// Shapes: B batch, T new positions, S visible positions, H query heads, G key-value heads, D head dimension.
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Kernels;

/// <summary>One call of an attention kernel.</summary>
/// <param name="Query">(B, H, T, D)</param>
/// <param name="Key">(B, G, S, D), up to the position of the last query; G divides H and consecutive query heads share a key head.</param>
/// <param name="Value">(B, G, S, D)</param>
/// <param name="Pattern">Who may see whom.</param>
/// <param name="Offset">Absolute position of the first query.</param>
/// <param name="Scale">The factor on QKᵀ.</param>
/// <param name="Dropout">Probability of dropping an attention weight now: 0 outside training.</param>
/// <param name="Masks">Masks made before, for patterns and lengths that need one.</param>
/// <param name="Bias">Added to the scaled scores, (1, H, T, S); null where the positions give none.</param>
internal readonly record struct AttentionCall(
    Tensor Query, Tensor Key, Tensor Value, AttentionPattern Pattern, int Offset, double Scale, double Dropout, MaskStore Masks, Tensor? Bias = null)
{
    /// <summary>Number of new positions, T.</summary>
    public int Queries => (int)Query.size(2);

    /// <summary>Number of positions given to see, S; the queries are the last of them.</summary>
    public int Keys => (int)Key.size(2);

    /// <summary>Query heads per key-value head.</summary>
    public int Sharing => (int)(Query.size(1) / Key.size(1));

    /// <summary>Whether the kernel's own causal flag says it all: as many queries as keys.</summary>
    public bool IsSquareCausal => Pattern.Shape == PatternShape.Causal && Queries == Keys && Queries > 1;

    /// <summary>Whether every query sees every key: a full pattern, or the last position of a causal one.</summary>
    public bool SeesEverything => Pattern.Shape == PatternShape.Full || (Pattern.Shape == PatternShape.Causal && Queries == 1);

    /// <summary>The mask (T, S), true where visible.</summary>
    public Tensor Mask() =>
        Masks.Get(Pattern, new(Offset, Queries), new(Offset + Queries - Keys, Keys), Query.device);

    /// <summary>The visible pairs as tiles.</summary>
    public TilePlan Plan() =>
        Masks.Plan(Pattern, new(Offset, Queries), new(Offset + Queries - Keys, Keys), Query.device);
}
