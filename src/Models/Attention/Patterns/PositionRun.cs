namespace Trainer.Models.Attention.Patterns;

/// <summary>Positions at equal distances.</summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many; none if it is not positive.</param>
/// <param name="Step">The distance between neighbours, at least 1.</param>
internal readonly record struct PositionRun(int Start, int Count, int Step = 1)
{
    /// <summary>The last position.</summary>
    public int Last => Start + (Count - 1) * Step;

    /// <summary>The positions of these from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public PositionRun Within(int start, int end)
    {
        int skipped = Math.Max(0, (start - Start + Step - 1) / Step);
        return Until(Start + skipped * Step, Math.Min(end, Start + Math.Max(0, Count) * Step), Step);
    }

    /// <summary>The positions from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public static PositionRun Until(int start, int end, int step = 1) => new(start, Math.Max(0, (end - start + step - 1) / step), step);
}
