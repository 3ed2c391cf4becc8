using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Tests.Monitoring;

public class HistogramSummaryTests
{
    [Fact]
    public void Every_finite_value_is_counted_once_in_its_bucket()
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, 1000).Select(_ => (float)(random.NextDouble() * 8 - 3)).ToArray();

        var histogram = HistogramSummary.FromValues(values, buckets: 7);

        Assert.Equal(7, histogram.Counts.Count);
        Assert.Equal((values.Min(), values.Max()), (histogram.Edges[0], histogram.Edges[^1]));
        Assert.Equal(values.Length, histogram.Counts.Sum());
        for (var i = 0; i < 7; i++)
            Assert.Equal(
                values.Count(value => value >= histogram.Edges[i] && (value < histogram.Edges[i + 1] || i == 6)),
                histogram.Counts[i]);
    }

    [Fact]
    public void Equal_values_make_one_bucket_around_them()
    {
        var histogram = HistogramSummary.FromValues([2, 2, 2]);

        Assert.Equal([1.5, 2.5], histogram.Edges);
        Assert.Equal([3], histogram.Counts);
    }

    [Fact]
    public void Non_finite_values_are_counted_apart()
    {
        var histogram = HistogramSummary.FromValues([1, float.NaN, float.NegativeInfinity, 3], buckets: 2);

        Assert.Equal(2, histogram.NonFinite);
        Assert.Equal([1, 1], histogram.Counts);
        Assert.Equal((0, 1), (HistogramSummary.FromValues([float.NaN]).Counts.Count, HistogramSummary.FromValues([float.NaN]).NonFinite));
    }

    [Fact]
    public void Extreme_values_do_not_overflow()
    {
        var histogram = HistogramSummary.FromValues([float.MinValue, 0, float.MaxValue], buckets: 3);

        Assert.Equal([1, 1, 1], histogram.Counts);
    }

    [Theory]
    [InlineData(new double[] { 0, 1 }, new double[] { 1, 2 }, "2 counts need 3 edges; got 2")]
    [InlineData(new double[] { 0, 2, 1 }, new double[] { 1, 2 }, "edges 1 and 2 are 2 and 1")]
    [InlineData(new double[] { 0, double.NaN }, new double[] { 1 }, "edges 0 and 1 are 0 and NaN")]
    [InlineData(new double[] { 0, 1 }, new double[] { -1 }, "count 0 is -1")]
    public void Buckets_that_make_no_histogram_are_refused(double[] edges, double[] counts, string message) =>
        Assert.Contains(message, Assert.Throws<ArgumentException>(() => HistogramSummary.FromBuckets(edges, counts)).Message);
}
