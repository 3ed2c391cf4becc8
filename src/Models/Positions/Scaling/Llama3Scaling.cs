using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>Llama 3.1's scaling: wavelengths under L/high stay, those over L/low are multiplied by s, with a ramp in
/// the turns between (Dubey et al. 2024, arXiv 2407.21783, and Meta's published code).</summary>
/// <remarks>Here the factor is a constant of its own: Llama 3.1 has factor 8 and original length 8192 at 131072 positions, 16 times as
/// many. So both must be given, and neither is compared with contextLength.</remarks>
public sealed record Llama3Scaling : ScalingOptions
{
    /// <summary>Turns within the original length up to which a pair is interpolated.</summary>
    [Description("Turns within the original length up to which a pair is interpolated.")]
    [Range(1e-6, 1e9)]
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Turns within the original length from which a pair keeps its frequency.</summary>
    [Description("Turns within the original length from which a pair keeps its frequency.")]
    [Range(1e-6, 1e9)]
    public double HighFrequencyFactor { get; init; } = 4;

    internal override string Type => "llama3";

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (HighFrequencyFactor <= LowFrequencyFactor)
            yield return new("highFrequencyFactor", $"highFrequencyFactor ({HighFrequencyFactor}) must be more than lowFrequencyFactor ({LowFrequencyFactor}); Llama 3.1 uses 4 and 1");
    }

    internal override IEnumerable<Problem> Against(int turned, int contextLength) => [];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length)
    {
        double[] kept = FrequencyRamps.AlongTurns(basis, OriginalLength!.Value, HighFrequencyFactor, LowFrequencyFactor);
        return new(RotaryFrequencies.Blend(basis, Factor!.Value, kept));
    }

    private protected override Problem? Missing() => Factor is null || OriginalLength is null
        ? new("", "scaling 'llama3' needs both factor and originalLength: its factor is not the ratio of the lengths; Llama 3.1 uses 8 and 8192")
        : null;
}
