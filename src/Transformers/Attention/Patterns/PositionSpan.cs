using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Patterns;

/// <summary>Consecutive positions, before which the first positions of the sequence may stand as attention sinks.</summary>
/// <param name="Start">The first of the consecutive ones.</param>
/// <param name="Count">How many positions in all.</param>
/// <param name="Sinks">How many of them, the foremost, are the positions from 0 on.</param>
internal readonly record struct PositionSpan(int Start, int Count, int Sinks = 0)
{
    /// <summary>The positions, int64 (Count).</summary>
    public Tensor Positions(Device device)
    {
        Tensor consecutive = arange(Start, Start + Count - Sinks, ScalarType.Int64, device);
        return Sinks == 0 ? consecutive : cat([arange(0, Sinks, ScalarType.Int64, device), consecutive], 0);
    }
}
