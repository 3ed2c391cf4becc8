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

    /// <summary>The mask of <paramref name="count"/> queries from position <paramref name="start"/> over the keys 0 … start + count − 1.</summary>
    /// <returns>Bool (T, S), true where visible.</returns>
    public Tensor Mask(int start, int count, Device device)
    {
        Tensor queries = arange(start, start + count, ScalarType.Int64, device).unsqueeze(1); // (T, 1)
        Tensor keys = arange(0, start + count, ScalarType.Int64, device).unsqueeze(0); // (1, S)
        return Visible(queries, keys);
    }
}

/// <summary>Patterns that need no mask, and the rest.</summary>
internal enum PatternShape
{
    /// <summary>Everything sees everything.</summary>
    Full,

    /// <summary>Everything sees itself and what is before it.</summary>
    Causal,

    /// <summary>Whatever <see cref="AttentionPattern.Visible"/> says.</summary>
    Masked,
}
