using System.Globalization;

namespace Trainer.Reporting;

/// <summary>One figure of a measure over a run.</summary>
/// <param name="Measure">What the measure is called.</param>
/// <param name="Figure">What the figure is.</param>
/// <param name="Condition">What it depends on; null for nothing but the data.</param>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Tokens">Tokens trained on.</param>
/// <param name="Seconds">Time since the run began.</param>
/// <param name="Values">The values; null where one was not finite.</param>
internal sealed record MeasureCurve(
    string Measure, string Figure, string? Condition, IReadOnlyList<long> Step, IReadOnlyList<double?> Tokens, IReadOnlyList<double?> Seconds, IReadOnlyList<double?> Values);

/// <summary>A figure that was measured at several places (positions in a window, depths in a prompt) after a step.</summary>
/// <param name="Measure">What the measure is called.</param>
/// <param name="Figure">What the figure is.</param>
/// <param name="Condition">What it depends on.</param>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Places">The places, ascending.</param>
/// <param name="Values">A value for each.</param>
internal sealed record MeasureProfile(string Measure, string Figure, string Condition, long Step, IReadOnlyList<double> Places, IReadOnlyList<double?> Values);

/// <summary>Takes records of measures apart into curves and profiles.</summary>
internal static class MeasureCurves
{
    private sealed record Point(MeasureRecord Record, string Figure, string? Condition, double? Place, double? Value);

    /// <summary>The figures of a whole, over the run.</summary>
    public static IReadOnlyList<MeasureCurve> Curves(RunMetrics metrics) =>
        [.. Points(metrics).Where(point => point.Place is null).GroupBy(point => (point.Record.Name, point.Figure, point.Condition)).Select(line => new MeasureCurve(
            line.Key.Name, line.Key.Figure, line.Key.Condition,
            [.. line.Select(point => point.Record.Step)],
            [.. line.Select(point => metrics.TokensAt(point.Record.Step) is { } tokens ? Math.Round(tokens) : (double?)null)],
            [.. line.Select(point => PageNumber.Rounded(point.Record.Seconds))],
            [.. line.Select(point => PageNumber.Rounded(point.Value))]))];

    /// <summary>The figures by place, after each step.</summary>
    public static IReadOnlyList<MeasureProfile> Profiles(RunMetrics metrics) =>
        [.. Points(metrics).Where(point => point.Place is not null).GroupBy(point => (point.Record.Name, point.Figure, point.Condition, point.Record.Step)).Select(line => new MeasureProfile(
            line.Key.Name, line.Key.Figure, line.Key.Condition ?? "", line.Key.Step,
            [.. line.OrderBy(point => point.Place).Select(point => point.Place!.Value)],
            [.. line.OrderBy(point => point.Place).Select(point => PageNumber.Rounded(point.Value))]))];

    // A key is name/condition/place, as MeasureFigure.Key writes it.
    private static IEnumerable<Point> Points(RunMetrics metrics) =>
        from record in metrics.Measures
        from figure in record.Figures
        let parts = figure.Key.Split('/')
        let place = parts.Length > 2 && double.TryParse(parts[2], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : (double?)null
        select new Point(record, parts[0], parts.Length > 1 ? parts[1] : null, place, figure.Value);
}
