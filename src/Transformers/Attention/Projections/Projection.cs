// Shapes: B batch, T positions, S positions remembered and new, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Transformers.Attention.Caches;
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

    /// <summary>Heads of the keys and values that a whole sequence is computed with.</summary>
    public abstract int KeyHeads { get; }

    /// <summary>Queries of the new tokens, and what is to be remembered of them.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="context">Where the tokens stand, and how positions turn queries and keys.</param>
    /// <returns>Query (B, H, T, D); first and second as <see cref="Layout"/> says.</returns>
    public abstract (Tensor Query, Tensor First, Tensor Second) Project(Tensor x, MixerContext context);

    /// <summary>Queries, keys and values of a whole sequence in one tensor, [queries | keys | values] of each token, where that is what the projection
    /// makes and nothing but to turn it is left to be done.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="rounds">Whether it may be bfloat16, where products are.</param>
    /// <returns>(B, T, H + 2·G, D), or null where there is no such tensor.</returns>
    public virtual Tensor? Pack(Tensor x, bool rounds) => null;

    /// <summary>Keys (B, G, S, D) and values (B, G, S, D) from what was remembered, and the queries (B, H, T, D) that fit them.</summary>
    /// <param name="query">From <see cref="Project"/>.</param>
    /// <param name="first">As <see cref="Layout"/> says, S positions.</param>
    /// <param name="second">Likewise.</param>
    /// <param name="remembered">Whether they come from a cache: decoding may have a cheaper form.</param>
    public virtual (Tensor Query, Tensor Key, Tensor Value) Expand(Tensor query, Tensor first, Tensor second, bool remembered) => (query, first, second);

    /// <summary>What becomes of the kernel's result: (B, H, T, width of a head's result).</summary>
    /// <param name="heads">(B, H, T, width of a value).</param>
    /// <param name="remembered">As in <see cref="Expand"/>.</param>
    public virtual Tensor Finish(Tensor heads, bool remembered) => heads;
}
