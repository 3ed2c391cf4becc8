namespace Trainer.Models.Positions.Scaling;

/// <summary>What turns a head: the one source of angles for every layout.</summary>
/// <param name="Angular">Radians per position of each pair, (R/2), float64.</param>
internal sealed record RotaryFrequencies(double[] Angular)
{
    /// <summary>The factor on queries and on keys, so its square is on their scores; it goes into cosines and sines, once.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>The frequencies of a rotary encoding.</summary>
    /// <param name="turned">Turned dimensions of a head, R.</param>
    /// <param name="theta">The base.</param>
    /// <param name="scaling">How they are changed for a longer context; null for not at all.</param>
    /// <param name="contextLength">Positions the model is made for: the target length.</param>
    /// <param name="length">Positions of the present sequence; only a scaling that depends on it reads it.</param>
    public static RotaryFrequencies Of(int turned, double theta, ScalingOptions? scaling, int contextLength, int length)
    {
        FrequencyBasis basis = new(turned, theta);
        return scaling?.Apply(basis, contextLength, length) ?? new(basis.Frequencies());
    }

    /// <summary>Each frequency between kept and divided by the factor: γ·θ + (1 − γ)·θ/s (Peng et al. 2023, eq. 22).</summary>
    /// <param name="basis">The unscaled frequencies.</param>
    /// <param name="factor">s</param>
    /// <param name="kept">γ of each pair: 1 keeps its frequency, 0 interpolates.</param>
    public static double[] Blend(FrequencyBasis basis, double factor, double[] kept) =>
        [.. basis.Frequencies().Zip(kept, (theta, gamma) => gamma * theta + (1 - gamma) * theta / factor)];
}
