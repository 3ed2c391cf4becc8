using MathNet.Numerics.Distributions;

namespace Trainer.Reporting.Sweeps;

/// <summary>The difference of two treatments on the same subjects, here configurations on the same seeds: its mean, the interval that
/// holds the true mean with 95 % confidence, and the probability of one so large where there is none (two-sided, Student 1908). Unknown
/// where there are fewer than two pairs; with no spread at all the difference is certain, or none.</summary>
public sealed record PairedTest(int Pairs, double Mean, double? Low, double? High, double? PValue)
{
    private const double Confidence = 0.95;

    /// <summary>The test of values less others, pair by pair; null without a pair.</summary>
    public static PairedTest? Of(IReadOnlyList<double> values, IReadOnlyList<double> others)
    {
        double[] differences = [.. values.Zip(others, (value, other) => value - other)];
        if (differences.Length == 0) return null;
        double mean = differences.Average();
        if (Spread.Deviation(differences) is not { } deviation) return new PairedTest(differences.Length, mean, null, null, null);
        double error = deviation / Math.Sqrt(differences.Length);
        if (error == 0) return new PairedTest(differences.Length, mean, mean, mean, mean == 0 ? 1 : 0);
        StudentT student = new(0, 1, differences.Length - 1);
        double half = error * student.InverseCumulativeDistribution((1 + Confidence) / 2);
        double p = 2 * student.CumulativeDistribution(-Math.Abs(mean / error));
        return new PairedTest(differences.Length, mean, mean - half, mean + half, p);
    }
}

internal static class Spread
{
    /// <summary>The standard deviation of a sample (with n − 1); null of fewer than two values.</summary>
    public static double? Deviation(IReadOnlyCollection<double> values)
    {
        if (values.Count < 2) return null;
        double mean = values.Average();
        return Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1));
    }
}
