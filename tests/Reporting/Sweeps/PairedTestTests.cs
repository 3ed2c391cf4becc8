using Trainer.Reporting.Sweeps;

namespace Trainer.Reporting.Tests.Sweeps;

public sealed class PairedTestTests
{
    /// <summary>Student's own figures (1908): hours of sleep gained by ten patients with two drugs; R's t.test(paired = TRUE) gives
    /// t = -4.0621, p = 0.002833 and the interval -2.4598858 … -0.7001142.</summary>
    [Fact]
    public void Students_sleep_data_has_the_published_interval_and_p()
    {
        double[] first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        double[] second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        PairedTest test = PairedTest.Of(first, second)!;
        Assert.Equal((10, -1.58), (test.Pairs, Math.Round(test.Mean, 10)));
        Assert.Equal(-2.4598858, test.Low!.Value, 6);
        Assert.Equal(-0.7001142, test.High!.Value, 6);
        Assert.Equal(0.002833, test.PValue!.Value, 5);
    }

    /// <summary>Half the width of the interval is the published quantile where the differences have a standard error of 1.</summary>
    [Theory]
    [InlineData(2, 12.706)]
    [InlineData(3, 4.303)]
    [InlineData(5, 2.776)]
    [InlineData(31, 2.042)]
    public void Intervals_have_the_quantiles_of_the_tables(int pairs, double quantile)
    {
        double[] differences = [.. Enumerable.Range(0, pairs).Select(i => i - (pairs - 1) / 2.0)];
        double error = Math.Sqrt(differences.Sum(d => d * d) / (pairs - 1) / pairs);
        PairedTest test = PairedTest.Of([.. differences.Select(d => d / error)], new double[pairs])!;
        Assert.Equal(quantile, test.High!.Value, 3);
        Assert.Equal(1, test.PValue!.Value, 10);
    }

    [Fact]
    public void One_pair_has_a_difference_and_nothing_else_and_none_has_nothing()
    {
        Assert.Equal(new PairedTest(1, 0.5, null, null, null), PairedTest.Of([1.5], [1]));
        Assert.Null(PairedTest.Of([], []));
    }

    [Fact]
    public void Differences_without_spread_are_certain()
    {
        Assert.Equal(new PairedTest(3, 1, 1, 1, 0), PairedTest.Of([2, 3, 4], [1, 2, 3]));
        Assert.Equal(new PairedTest(2, 0, 0, 0, 1), PairedTest.Of([2, 3], [2, 3]));
    }
}
