using System.Globalization;
using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Sweeps;

/// <summary>The results of a sweep as a table of text.</summary>
public static class SweepTable
{
    /// <summary>A heading, a line for each configuration, the best first, and what to know about them.</summary>
    public static IEnumerable<string> Lines(string directory, SweepResults results)
    {
        yield return $"{directory}: {HumanFormat.Counted(results.Rows.Count, "configuration")}, " +
            $"{HumanFormat.Counted(results.Rows.Sum(row => row.Runs), "run")}; best validation loss, mean over seeds";
        string[][] rows =
        [
            [.. results.Definition.Varied, "runs", "loss", "deviation", "steps", "minutes", "to best", "95 % interval", "p", ""],
            .. results.Rows.Select(row => Cells(row, results.Best)),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (string[] row in rows) yield return string.Join("  ", row.Zip(widths, (cell, width) => cell.PadLeft(width))).TrimEnd();
        if (results.Rows.Any(row => row.ToBest?.PValue is not null))
            yield return "differences are paired by seed; p is that of Student's t test for one comparison: of many, some are small " +
                "by chance";
        yield return $"one page of it: report {directory}";
    }

    private static string[] Cells(SweepResult row, SweepResult? best) =>
    [
        .. row.Values,
        $"{row.Runs}",
        row.Mean is { } mean ? HumanFormat.Loss(mean) : "–",
        row.Deviation is { } deviation ? $"± {HumanFormat.Loss(deviation)}" : "–",
        HumanFormat.Number(row.Steps),
        row.Minutes.ToString("0.0", CultureInfo.InvariantCulture),
        row.ToBest is { } test ? Signed(test.Mean) : "",
        row.ToBest is { Low: { } low, High: { } high } ? $"{Signed(low)} … {Signed(high)}" : "",
        row.ToBest?.PValue is { } p ? p.ToString("0.000", CultureInfo.InvariantCulture) : "",
        Remark(row, best),
    ];

    private static string Remark(SweepResult row, SweepResult? best)
    {
        string? failed = row.Failed > 0 ? $"{row.Failed} failed" : null;
        string? state = row == best ? "best" : row.IsDropped ? "stopped early" : row.IsComplete || row.Failed > 0 ? null : "unfinished";
        return string.Join(", ", new[] { state, failed }.OfType<string>());
    }

    private static string Signed(double difference) => difference.ToString("+0.0000;-0.0000;0.0000", CultureInfo.InvariantCulture);
}
