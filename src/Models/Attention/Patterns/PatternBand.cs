using Trainer.Kernels;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Position i sees i − Before + 1 … i + After.</summary>
/// <param name="Before">How many positions backwards, its own included.</param>
/// <param name="After">How many forwards.</param>
internal readonly record struct PatternBand(long Before, long After)
{
    /// <summary>Every position.</summary>
    public static PatternBand Everything { get; } = new(FlashAttention.Unbounded, FlashAttention.Unbounded);

    /// <summary>Its own position and all before it.</summary>
    public static PatternBand Past { get; } = new(FlashAttention.Unbounded, 0);
}
