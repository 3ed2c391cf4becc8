using Trainer.Reporting.Runs;

namespace Trainer.Reporting.Tests.Runs;

public sealed class RunCurvesTests
{
    [Fact]
    public void Few_records_are_shown_as_they_are()
    {
        var curves = RunCurves.Of(Steps(100, step => step));
        Assert.Equal(1, curves.RecordsPerBucket);
        Assert.Equal(Enumerable.Range(0, 100).Select(step => (double?)step), curves.Loss.Mean);
        Assert.Null(curves.Loss.Lowest);
    }

    [Fact]
    public void Many_records_keep_every_extreme_and_the_mean()
    {
        Random random = new(7);
        var losses = Enumerable.Range(0, 100_003).Select(_ => (double)(float)random.NextDouble()).ToArray();
        losses[54_321] = 40;
        losses[77_777] = -3;
        var curves = RunCurves.Of(Steps(losses.Length, step => losses[step]));

        Assert.InRange(curves.Step.Count, 1000, RunCurves.MaxBuckets);
        Assert.Equal(51, curves.RecordsPerBucket);
        Assert.Equal(40, curves.Loss.Highest!.Max());
        Assert.Equal(-3, curves.Loss.Lowest!.Min());
        foreach (var (bucket, i) in losses.Chunk(51).Select((bucket, i) => (bucket, i)))
        {
            Assert.Equal(bucket.Average(), curves.Loss.Mean[i]!.Value, 1e-5);
            Assert.Equal(bucket.Min(), curves.Loss.Lowest![i]!.Value, 1e-5);
            Assert.Equal(bucket.Max(), curves.Loss.Highest![i]!.Value, 1e-5);
        }
        Assert.Equal(curves.Step.Order(), curves.Step);
    }

    [Fact]
    public void What_is_not_finite_is_a_gap_that_is_marked_and_no_part_of_a_mean()
    {
        var curves = RunCurves.Of(Steps(8, step => step switch { 2 or 3 => double.NaN, 4 => double.PositiveInfinity, _ => step }), most: 4);
        Assert.Equal([0.5, null, 5, 6.5], curves.Loss.Mean);
        Assert.Equal([1, 2], curves.Loss.NotFinite);
    }

    [Fact]
    public void A_figure_that_no_record_has_is_a_gap_without_a_mark()
    {
        var curves = RunCurves.Of([new StepRecord(1, 64, null, 1.5, null, null, null)]);
        Assert.Equal([null], curves.GradientNorm.Mean);
        Assert.Empty(curves.GradientNorm.NotFinite);
        Assert.Equal([null], curves.Seconds);
    }

    private static StepRecord[] Steps(int count, Func<int, double> loss) =>
        [.. Enumerable.Range(0, count).Select(step => new StepRecord(step, step * 64, step, loss(step), 1e-3, 1, 100))];
}
