using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Patterns;

/// <summary>Consecutive positions.</summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many.</param>
internal readonly record struct PositionSpan(int Start, int Count)
{
    /// <summary>The position after the last.</summary>
    public int End => Start + Count;

    /// <summary>The positions, int64 (Count).</summary>
    public Tensor Positions(Device device) => arange(Start, Start + Count, ScalarType.Int64, device);

    /// <summary>Where a position stands among these.</summary>
    public int RowOf(int position) => position - Start;

    /// <summary>What of a run is among these.</summary>
    public PositionRun Clip(PositionRun run)
    {
        int skipped = Math.Max(0, (Start - run.Start + run.Step - 1) / run.Step);
        int first = run.Start + skipped * run.Step;
        return PositionRun.Until(first, Math.Min(End, run.Start + run.Count * run.Step), run.Step);
    }
}
