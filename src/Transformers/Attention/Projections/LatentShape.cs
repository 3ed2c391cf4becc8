using Trainer.Transformers.Attention.Caches;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>The widths of latent attention.</summary>
/// <param name="Heads">Number of heads, H.</param>
/// <param name="HeadDim">The part of a query or key that carries no position, N.</param>
/// <param name="TurnedDim">The part that positions turn, P.</param>
/// <param name="ValueDim">A value, V.</param>
/// <param name="Rank">The vector that keys and values are made from, r.</param>
internal readonly record struct LatentShape(int Heads, int HeadDim, int TurnedDim, int ValueDim, int Rank)
{
    /// <summary>Width of a query or key, N + P.</summary>
    public int KeyDim => HeadDim + TurnedDim;

    /// <summary>Width of the heads a kernel is given when keys and values are expanded: what is narrower is filled up with zeros.</summary>
    public int KernelWidth => Math.Max(KeyDim, ValueDim);

    /// <summary>Rows of the queries, H·(N + P).</summary>
    public int QueryRows => Heads * KeyDim;

    /// <summary>Rows of expanded keys and values, H·(N + V).</summary>
    public int ExpandedRows => Heads * (HeadDim + ValueDim);

    /// <summary>Width of the heads' results side by side, H·V.</summary>
    public int OutputWidth => Heads * ValueDim;

    /// <summary>Numbers remembered of a token, r + P.</summary>
    public int Remembered => Rank + TurnedDim;

    /// <summary>One tensor; the second is empty.</summary>
    public CacheLayout Layout => new(1, Remembered, 0, Remembered);

    /// <summary>Whether so many new queries cost fewer operations over the remembered vectors themselves than over keys and values made from them.</summary>
    /// <remarks>For S keys and T queries a head takes T·S·2(r + P) multiplications over the vectors, which serve as keys and as values, and
    /// S·r·(N + V) + T·S·(N + P + V) with keys and values made first: S does not matter.</remarks>
    public bool PaysToAbsorb(long queries) => queries * (2L * Remembered - KeyDim - ValueDim) <= (long)Rank * (HeadDim + ValueDim);
}
