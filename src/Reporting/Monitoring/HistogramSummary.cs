namespace Trainer.Reporting.Monitoring;

/// <summary>A histogram of a tensor: counts over adjoining buckets.</summary>
public sealed record HistogramSummary
{
    private HistogramSummary(double[] edges, double[] counts, long nonFinite)
    {
        Edges = edges;
        Counts = counts;
        NonFinite = nonFinite;
    }

    /// <summary>Bucket edges, ascending; bucket i spans Edges[i] to Edges[i + 1]. Empty without finite values.</summary>
    public IReadOnlyList<double> Edges { get; }

    /// <summary>Values in each bucket.</summary>
    public IReadOnlyList<double> Counts { get; }

    /// <summary>NaN and infinite values.</summary>
    public long NonFinite { get; }

    /// <summary>From finite, ascending edges, one more than there are counts.</summary>
    internal static HistogramSummary FromBuckets(ReadOnlySpan<double> edges, ReadOnlySpan<double> counts, long nonFinite = 0)
    {
        if (edges.Length != counts.Length + 1)
            throw new ArgumentException($"{counts.Length} counts need {counts.Length + 1} edges; got {edges.Length}", nameof(edges));
        for (var i = 0; i < counts.Length; i++)
        {
            if (!double.IsFinite(edges[i]) || !double.IsFinite(edges[i + 1]) || edges[i] > edges[i + 1])
                throw new ArgumentException($"edges must be finite and ascending; edges {i} and {i + 1} are {edges[i]} and {edges[i + 1]}",
                    nameof(edges));
            if (!(counts[i] >= 0))
                throw new ArgumentException($"counts must not be negative; count {i} is {counts[i]}", nameof(counts));
        }
        return new(edges.ToArray(), counts.ToArray(), nonFinite);
    }

    /// <summary>Counts values into buckets of equal width between the smallest and largest finite one.</summary>
    public static HistogramSummary FromValues(ReadOnlySpan<float> values, int buckets = 30)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(buckets);
        var (minimum, maximum, finite) = Span(values);
        if (finite == 0)
            return new([], [], values.Length);
        if (minimum == maximum)
            return new([minimum - 0.5, minimum + 0.5], [finite], values.Length - finite);

        var counts = new double[buckets];
        foreach (var value in values)
            if (float.IsFinite(value))
                counts[Math.Min((int)((value - minimum) / (maximum - minimum) * buckets), buckets - 1)]++;
        return new(EvenEdges(minimum, maximum, buckets), counts, values.Length - finite);
    }

    private static (double Minimum, double Maximum, long Finite) Span(ReadOnlySpan<float> values)
    {
        var (minimum, maximum, finite) = (double.PositiveInfinity, double.NegativeInfinity, 0L);
        foreach (var value in values)
        {
            if (!float.IsFinite(value))
                continue;
            minimum = Math.Min(minimum, value);
            maximum = Math.Max(maximum, value);
            finite++;
        }
        return (minimum, maximum, finite);
    }

    private static double[] EvenEdges(double minimum, double maximum, int buckets)
    {
        var edges = new double[buckets + 1];
        for (var i = 0; i < buckets; i++)
            edges[i] = minimum + (maximum - minimum) * i / buckets;
        edges[buckets] = maximum;
        return edges;
    }
}
