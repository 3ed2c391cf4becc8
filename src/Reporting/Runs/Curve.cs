namespace Trainer.Reporting;

/// <summary>One figure of a run over its records, or over buckets of neighbouring records where there are many.</summary>
/// <remarks>A value that is not finite is no number that an axis could show: it is a gap, and <see cref="NotFinite"/> says where.</remarks>
internal sealed record Curve
{
    /// <summary>The mean of each bucket's finite values; null where it has none.</summary>
    public required IReadOnlyList<double?> Mean { get; init; }

    /// <summary>The lowest of each bucket; null where every bucket is one record.</summary>
    public IReadOnlyList<double?>? Lowest { get; init; }

    /// <summary>The highest of each bucket; null where every bucket is one record.</summary>
    public IReadOnlyList<double?>? Highest { get; init; }

    /// <summary>The buckets in which a value was NaN or infinite.</summary>
    public required IReadOnlyList<int> NotFinite { get; init; }
}

/// <summary>The curves of a run on common places.</summary>
internal sealed record RunCurves
{
    /// <summary>The most buckets that a page shows of a run: more than a screen has pixels for.</summary>
    public const int MostBuckets = 2000;

    /// <summary>The records that were made into one bucket; 1 where nothing was.</summary>
    public required int RecordsPerBucket { get; init; }

    /// <summary>The step of each bucket: that of its middle record.</summary>
    public required IReadOnlyList<long> Step { get; init; }

    /// <summary>Tokens at that step.</summary>
    public required IReadOnlyList<long> Tokens { get; init; }

    /// <summary>Seconds at that step.</summary>
    public required IReadOnlyList<double?> Seconds { get; init; }

    /// <summary>Training loss in nats per token.</summary>
    public required Curve Loss { get; init; }

    /// <summary>Learning rate.</summary>
    public required Curve LearningRate { get; init; }

    /// <summary>Norm of the gradients.</summary>
    public required Curve GradientNorm { get; init; }

    /// <summary>Tokens a second.</summary>
    public required Curve TokensPerSecond { get; init; }

    /// <summary>Makes the curves of a run's training steps.</summary>
    /// <param name="steps">The records, ascending.</param>
    /// <param name="most">The most buckets.</param>
    public static RunCurves Of(IReadOnlyList<StepRecord> steps, int most = MostBuckets)
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
        IReadOnlyList<double?> Each(Func<double[], double> value) => [.. values.Select(some => some.Length == 0 ? null : PageNumber.Rounded(value(some)))];
        return new Curve
        {
            Mean = Each(some => some.Average()),
            Lowest = ranges ? Each(some => some.Min()) : null,
            Highest = ranges ? Each(some => some.Max()) : null,
            NotFinite = [.. Enumerable.Range(0, buckets.Length).Where(i => buckets[i].Any(record => figure(record) is { } value && !double.IsFinite(value)))],
        };
    }
}
