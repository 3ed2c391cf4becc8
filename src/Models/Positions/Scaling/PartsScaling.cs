using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>What NTK-by-parts and YaRN share: fast pairs keep their frequency, slow ones are interpolated, with a ramp between.</summary>
public abstract record PartsScaling : ScalingOptions
{
    /// <summary>Turns within the original length from which a pair keeps its frequency, β.</summary>
    [Description("Turns within the original length from which a pair keeps its frequency.")]
    [Range(1e-6, 1e9)]
    public double BetaFast { get; init; } = 32;

    /// <summary>Turns within the original length up to which a pair is interpolated, α.</summary>
    [Description("Turns within the original length up to which a pair is interpolated.")]
    [Range(1e-6, 1e9)]
    public double BetaSlow { get; init; } = 1;

    /// <summary>Along what the ramp runs.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public abstract FrequencyRamp Ramp { get; init; }

    /// <summary>Whether a ramp along pairs starts and ends at whole pairs; by default it does. Only with ramp 'pairs'.</summary>
    [Description("Whether a ramp along pairs is rounded outwards to whole pairs; by default it is.")]
    public bool? Truncate { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (BetaFast <= BetaSlow)
            yield return new("betaFast", $"betaFast ({BetaFast}) must be more turns than betaSlow ({BetaSlow}); the papers use 32 and 1");
        if (Truncate is not null && Ramp == FrequencyRamp.Turns)
            yield return new("truncate", "truncate rounds the ends of a ramp along pairs, and this ramp runs along turns; leave truncate out or set ramp to 'pairs'");
    }

    /// <summary>The frequencies on both sides of the ramp and on it.</summary>
    private protected double[] Blended(FrequencyBasis basis, int contextLength)
    {
        double original = Original(contextLength);
        double[] kept = Ramp == FrequencyRamp.Turns
            ? FrequencyRamps.AlongTurns(basis, original, BetaFast, BetaSlow)
            : FrequencyRamps.AlongPairs(basis, original, BetaFast, BetaSlow, Truncate ?? true);
        return RotaryFrequencies.Blend(basis, Ratio(contextLength), kept);
    }
}
