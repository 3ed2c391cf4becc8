using System.Globalization;

namespace Trainer.Reporting.Runs;

/// <summary>One figure of a run over its records, or over buckets of adjacent records where there are many.</summary>
internal sealed record Curve
{
    /// <summary>The mean of each bucket's finite values; null where it has none.</summary>
    public required IReadOnlyList<double?> Mean { get; init; }

    /// <summary>Null where every bucket is one record, as for <see cref="Highest"/>.</summary>
    public IReadOnlyList<double?>? Lowest { get; init; }

    public IReadOnlyList<double?>? Highest { get; init; }

    /// <summary>The buckets with a NaN or infinite value, which are gaps in the curve.</summary>
    public required IReadOnlyList<int> NotFinite { get; init; }
}

internal sealed record RunCurves
{
    /// <summary>More than a screen has pixels for.</summary>
    public const int MaxBuckets = 2000;

    public required int RecordsPerBucket { get; init; }

    /// <summary>Of the middle record of each bucket.</summary>
    public required IReadOnlyList<long> Step { get; init; }

    public required IReadOnlyList<long> Tokens { get; init; }

    public required IReadOnlyList<double?> Seconds { get; init; }

    public required Curve Loss { get; init; }

    public required Curve LearningRate { get; init; }

    public required Curve GradientNorm { get; init; }

    public required Curve TokensPerSecond { get; init; }

    public static RunCurves Of(IReadOnlyList<StepRecord> steps, int most = MaxBuckets)
    {
        var size = Math.Max(1, (steps.Count + most - 1) / most);
        var buckets = steps.Chunk(size).ToArray();
        StepRecord[] places = [.. buckets.Select(bucket => bucket[bucket.Length / 2])];
        Curve Of(Func<StepRecord, double?> figure) => Bucketed(buckets, figure, size > 1);
        return new RunCurves
        {
            RecordsPerBucket = size,
            Step = [.. places.Select(place => place.Step)],
            Tokens = [.. places.Select(place => place.Tokens)],
            Seconds = [.. places.Select(place => PageNumber.Rounded(place.Seconds))],
            Loss = Of(record => record.Loss),
            LearningRate = Of(record => record.LearningRate),
            GradientNorm = Of(record => record.GradientNorm),
            TokensPerSecond = Of(record => record.TokensPerSecond),
        };
    }

    private static Curve Bucketed(StepRecord[][] buckets, Func<StepRecord, double?> figure, bool ranges)
    {
        var values = buckets.Select(bucket => bucket.Select(figure).OfType<double>().Where(double.IsFinite).ToArray()).ToArray();
        IReadOnlyList<double?> Each(Func<double[], double> value) =>
            [.. values.Select(some => some.Length == 0 ? null : PageNumber.Rounded(value(some)))];
        return new Curve
        {
            Mean = Each(some => some.Average()),
            Lowest = ranges ? Each(some => some.Min()) : null,
            Highest = ranges ? Each(some => some.Max()) : null,
            NotFinite = [.. Enumerable.Range(0, buckets.Length)
                .Where(i => buckets[i].Any(record => figure(record) is { } value && !double.IsFinite(value)))],
        };
    }
}

/// <summary>One figure of a scheduled evaluator over a run; a value that is not finite is null.</summary>
internal sealed record EvaluatorCurve(
    string Measure, string Figure, string? Condition, IReadOnlyList<long> Step, IReadOnlyList<double?> Tokens,
        IReadOnlyList<double?> Seconds, IReadOnlyList<double?> Values);

/// <summary>A figure at several places (positions in a window, depths in a prompt) after a step.</summary>
internal sealed record EvaluatorProfile(string Measure, string Figure, string Condition, long Step, IReadOnlyList<double> Places,
    IReadOnlyList<double?> Values);

internal static class EvaluatorCurves
{
    private sealed record Point(EvaluatorRecord Record, string Figure, string? Condition, double? Place, double? Value);

    public static IReadOnlyList<EvaluatorCurve> Curves(RunMetrics metrics) =>
        [.. Points(metrics).Where(point => point.Place is null).GroupBy(point => (point.Record.Name, point.Figure, point.Condition))
            .Select(line => new EvaluatorCurve(
            line.Key.Name, line.Key.Figure, line.Key.Condition,
            [.. line.Select(point => point.Record.Step)],
            [.. line.Select(point => metrics.TokensAt(point.Record.Step) is { } tokens ? Math.Round(tokens) : (double?)null)],
            [.. line.Select(point => PageNumber.Rounded(point.Record.Seconds))],
            [.. line.Select(point => PageNumber.Rounded(point.Value))]))];

    public static IReadOnlyList<EvaluatorProfile> Profiles(RunMetrics metrics) =>
        [.. Points(metrics).Where(point => point.Place is not null)
            .GroupBy(point => (point.Record.Name, point.Figure, point.Condition, point.Record.Step)).Select(line => new EvaluatorProfile(
            line.Key.Name, line.Key.Figure, line.Key.Condition ?? "", line.Key.Step,
            [.. line.OrderBy(point => point.Place).Select(point => point.Place!.Value)],
            [.. line.OrderBy(point => point.Place).Select(point => PageNumber.Rounded(point.Value))]))];

    // A key is name/condition/place, as EvaluatorFigure.Key writes it.
    private static IEnumerable<Point> Points(RunMetrics metrics) =>
        from record in metrics.Measures
        from figure in record.Figures
        let parts = figure.Key.Split('/')
        let place = parts.Length > 2 && double.TryParse(parts[2], NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            ? number
            : (double?)null
        select new Point(record, parts[0], parts.Length > 1 ? parts[1] : null, place, figure.Value);
}
