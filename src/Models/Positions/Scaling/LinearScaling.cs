namespace Trainer.Models.Positions.Scaling;

/// <summary>Position interpolation: position / s, so that no angle is larger than in training (Chen et al. 2023, arXiv 2306.15595).</summary>
public sealed record LinearScaling : ScalingOptions
{
    internal override string Type => "linear";

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new([.. basis.Frequencies().Select(theta => theta / Ratio(contextLength))]);
}
