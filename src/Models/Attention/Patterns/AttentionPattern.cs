// Shapes: T query positions, S key positions.
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Who may see whom. Every position sees at least itself.</summary>
/// <remarks><see cref="Visible"/> is the specification. What every kernel has a fast way for, no mask at all and the plain
/// causal one, is announced by <see cref="Shape"/>; the rest of the members tell where the visible pairs lie, so that a kernel
/// can leave the others out without ever making a mask of T·S.</remarks>
internal abstract class AttentionPattern
{
    /// <summary>What a kernel may do instead of asking for a mask.</summary>
    public virtual PatternShape Shape => PatternShape.Masked;

    /// <summary>The keys around its own position that a query sees, where that is all there is to say; else null.</summary>
    public virtual PatternBand? Band => Shape switch
    {
        PatternShape.Full => PatternBand.Everything,
        PatternShape.Causal => PatternBand.Past,
        _ => null,
    };

    /// <summary>Patterns that together are this one: every visible pair is visible in exactly one of them.</summary>
    public virtual IReadOnlyList<AttentionPattern> Parts => [this];

    /// <summary>The distance between queries that see much the same keys: 1 where those are neighbours.</summary>
    public virtual int QueryStep => 1;

    /// <summary>How many such queries are best computed together.</summary>
    public virtual int TileRows => 256;

    /// <summary>Whether the query at each position may see the key at each position.</summary>
    /// <param name="queries">Absolute positions (T, 1), int64.</param>
    /// <param name="keys">Absolute positions (1, S), int64.</param>
    /// <returns>Bool (T, S), true where visible.</returns>
    public abstract Tensor Visible(Tensor queries, Tensor keys);

    /// <summary>Every key that any of these queries may see, each once, and as few others as there is a simple rule for; by default all keys.</summary>
    /// <param name="queries">Positions at distance <see cref="QueryStep"/>.</param>
    /// <param name="end">There are no keys from here on.</param>
    /// <returns>Positions of keys, also from <paramref name="end"/> on.</returns>
    public virtual IEnumerable<PositionRun> KeysOf(PositionRun queries, int end) => [PositionRun.Until(0, end)];

    /// <summary>The mask of queries over keys at the given positions.</summary>
    /// <returns>Bool (T, S), true where visible.</returns>
    public Tensor Mask(PositionSpan queries, PositionSpan keys, Device device) =>
        Visible(queries.Positions(device).unsqueeze(1), keys.Positions(device).unsqueeze(0));
}
