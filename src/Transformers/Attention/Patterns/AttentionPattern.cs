// Shapes: T query positions, S key positions.
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Patterns;

/// <summary>Who may see whom.</summary>
/// <remarks><see cref="Visible"/> is the specification. What every kernel has a fast way for, no mask at all and the plain
/// causal one, is announced by <see cref="Shape"/>.</remarks>
internal abstract class AttentionPattern
{
    /// <summary>What a kernel may do instead of asking for a mask.</summary>
    public abstract PatternShape Shape { get; }

    /// <summary>Whether the query at each position may see the key at each position.</summary>
    /// <param name="queries">Absolute positions (T, 1), int64.</param>
    /// <param name="keys">Absolute positions (1, S), int64.</param>
    /// <returns>Bool (T, S), true where visible.</returns>
    public abstract Tensor Visible(Tensor queries, Tensor keys);

    /// <summary>The mask of queries over keys at the given positions.</summary>
    /// <returns>Bool (T, S), true where visible.</returns>
    public Tensor Mask(PositionSpan queries, PositionSpan keys, Device device) =>
        Visible(queries.Positions(device).unsqueeze(1), keys.Positions(device).unsqueeze(0));
}
