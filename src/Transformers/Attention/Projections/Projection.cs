// Shapes: B batch, T positions, S positions remembered and new, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>How queries, keys and values are made from the residual stream.</summary>
/// <remarks>It decides what decoding remembers: <see cref="Project"/> returns the two tensors of each new token that go into
/// the cache, and <see cref="Expand"/> turns what the cache gives back into keys and values. Most remember keys
/// and values themselves; latent attention remembers less and expands.</remarks>
internal abstract class Projection(string name) : nn.Module(name)
{
    /// <summary>Width of the concatenated heads, which the output matrix reads.</summary>
    public abstract int OutputWidth { get; }

    /// <summary>Shapes of what is remembered.</summary>
    public abstract CacheLayout Layout { get; }

    /// <summary>The factor on QKᵀ.</summary>
    public abstract double Scale { get; }

    /// <summary>Queries of the new tokens, and what is to be remembered of them.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="position">Turns queries and keys where order enters there.</param>
    /// <param name="offset">Position of the first token.</param>
    /// <returns>Query (B, H, T, D); first and second as <see cref="Layout"/> says.</returns>
    public abstract (Tensor Query, Tensor First, Tensor Second) Project(Tensor x, PositionEncoding position, int offset);

    /// <summary>Keys (B, G, S, D) and values (B, G, S, D) from what was remembered.</summary>
    public virtual (Tensor Key, Tensor Value) Expand(Tensor first, Tensor second) => (first, second);
}
