using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>A time series of several variables, each a sum of seasons of its own strengths and phases, of a random walk that returns to its
/// trend, and of noise.</summary>
[Description("A time series of several variables: seasons, a trend, a slow random walk and noise.")]
public sealed record WavesTaskOptions : SyntheticTaskOptions
{
    /// <summary>Number of variables.</summary>
    [Description("Variables of the series.")]
    [Range(1, 10_000)]
    public int Variables { get; init; } = 4;

    /// <summary>Steps of time.</summary>
    [Description("Steps of time; of these the last are held out by data.validationFraction.")]
    [Range(100, 100_000_000)]
    public int Steps { get; init; } = 8_000;

    /// <summary>Periods of the seasons.</summary>
    [Description("Periods of the seasons, in steps of time.")]
    [MinLength(1)]
    public IReadOnlyList<int> Periods { get; init; } = [24, 168];

    /// <summary>Deviation of the noise, where the seasons have about 1 together.</summary>
    [Description("The deviation of the noise, where that of the seasons together is about 1.")]
    [Range(0.0, 100.0)]
    public double Noise { get; init; } = 0.2;
}
