using static TorchSharp.torch;

namespace Trainer.Models.Attention.Patterns;

/// <summary>Consecutive positions, before which the first positions of the sequence may stand as attention sinks.</summary>
/// <param name="Start">The first of the consecutive ones.</param>
/// <param name="Count">How many positions in all.</param>
/// <param name="Sinks">How many of them, the foremost, are the positions from 0 on.</param>
internal readonly record struct PositionSpan(int Start, int Count, int Sinks = 0)
{
    /// <summary>The position after the last.</summary>
    public int End => Start + Count - Sinks;

    /// <summary>The positions, int64 (Count).</summary>
    public Tensor Positions(Device device)
    {
        Tensor consecutive = arange(Start, Start + Count - Sinks, ScalarType.Int64, device);
        return Sinks == 0 ? consecutive : cat([arange(0, Sinks, ScalarType.Int64, device), consecutive], 0);
    }

    /// <summary>Where one of these positions stands among them.</summary>
    public int RowOf(int position) => position < Sinks ? position : position - Start + Sinks;

    /// <summary>What of a run is among these.</summary>
    public IEnumerable<PositionRun> Clip(PositionRun run) => Sinks == 0 ? [run.Within(Start, End)] : [run.Within(0, Sinks), run.Within(Math.Max(Start, Sinks), End)];
}
