// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head.
using Trainer.Transformers.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Caches;

/// <summary>What one attention layer remembers of the tokens before.</summary>
/// <remarks>Positions stay absolute, whatever the cache keeps of them.</remarks>
internal abstract class KeyValueCache : LayerState
{
    /// <summary>What is remembered: both tensors (B, G, S, D), and where these positions stand; views into the cache, valid until it changes.</summary>
    public abstract (Tensor First, Tensor Second, PositionSpan Positions) Remembered { get; }

    /// <summary>Adds new tokens and gives everything they may look back on.</summary>
    /// <param name="first">(B, G, T, D) as the projection's <see cref="CacheLayout"/> says.</param>
    /// <param name="second">(B, G, T, D) likewise.</param>
    /// <returns>Both tensors (B, G, S, D), the new positions last, and where these positions stand; views into the cache, valid until the next call.</returns>
    public abstract (Tensor First, Tensor Second, PositionSpan Positions) Append(Tensor first, Tensor second);
}
