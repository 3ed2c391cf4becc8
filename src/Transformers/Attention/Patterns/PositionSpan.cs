using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Patterns;

/// <summary>Consecutive positions.</summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many.</param>
internal readonly record struct PositionSpan(int Start, int Count)
{
    /// <summary>The positions, int64 (Count).</summary>
    public Tensor Positions(Device device) => arange(Start, Start + Count, ScalarType.Int64, device);
}
