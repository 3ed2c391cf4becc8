namespace Trainer.Transformers.Attention.Caches;

/// <summary>What a cache remembers of each token in one layer: two tensors, for most projections keys and values.</summary>
/// <param name="FirstHeads">Heads of the first tensor.</param>
/// <param name="FirstDim">Width of each.</param>
/// <param name="SecondHeads">Heads of the second tensor.</param>
/// <param name="SecondDim">Width of each.</param>
public readonly record struct CacheLayout(int FirstHeads, int FirstDim, int SecondHeads, int SecondDim)
{
    /// <summary>Numbers remembered of one token in one layer.</summary>
    public int NumbersPerToken => FirstHeads * FirstDim + SecondHeads * SecondDim;
}
