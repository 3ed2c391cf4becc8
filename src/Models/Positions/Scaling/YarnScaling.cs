using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>YaRN: NTK-by-parts, and queries and keys longer by √(1/t) = 0.1·ln s + 1 (Peng et al. 2023, arXiv 2309.00071, §3.3).</summary>
/// <remarks>Its attention factor is either the paper's, or <see cref="AttentionFactor"/> as it stands, or DeepSeek's from the two mscale
/// settings: with m(x) = 0.1·x·ln s + 1 queries and keys are multiplied by m(mscale)/m(mscaleAllDim), turned
/// dimensions only, and all scores by m(mscaleAllDim)² (DeepSeek-V2's published code). The paper's is mscale 1 and mscaleAllDim 0.</remarks>
public sealed record YarnScaling : PartsScaling
{
    /// <summary>Along what the ramp runs: by default the pairs, as in the published code.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public override FrequencyRamp Ramp { get; init; } = FrequencyRamp.Pairs;

    /// <summary>The factor on queries and on keys, final: nothing is multiplied to it. By default 0.1·ln s + 1.</summary>
    [Description("The final factor on queries and on keys; by default 0.1·ln(factor) + 1.")]
    [Range(1e-6, 1e6)]
    public double? AttentionFactor { get; init; }

    /// <summary>DeepSeek's weight of ln s on turned dimensions; 1 when left out.</summary>
    [Description("DeepSeek's weight of ln(factor) on turned dimensions; 1 when left out.")]
    [Range(0, 1e6)]
    public double? Mscale { get; init; }

    /// <summary>DeepSeek's weight of ln s on all dimensions; 0 when left out.</summary>
    [Description("DeepSeek's weight of ln(factor) on all dimensions; 0 when left out.")]
    [Range(0, 1e6)]
    public double? MscaleAllDim { get; init; }

    internal override string Type => "yarn";

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (AttentionFactor is not null && (Mscale ?? MscaleAllDim) is not null)
            yield return new("attentionFactor", $"attentionFactor ({AttentionFactor}) is final, and {(Mscale is not null ? "mscale" : "mscaleAllDim")} ({Mscale ?? MscaleAllDim}) would give another; leave one of them out");
    }

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new(Blended(basis, contextLength)) { AttentionFactor = ResolvedAttentionFactor(contextLength) };

    /// <summary>The factor on queries and on keys.</summary>
    internal double ResolvedAttentionFactor(int contextLength) =>
        AttentionFactor ?? Magnitude(contextLength, Mscale ?? 1) / Magnitude(contextLength, MscaleAllDim ?? 0);

    /// <inheritdoc/>
    internal override double ScoreFactor(int contextLength) => Math.Pow(Magnitude(contextLength, MscaleAllDim ?? 0), 2);

    private double Magnitude(int contextLength, double weight) => 0.1 * weight * Math.Log(Ratio(contextLength)) + 1;
}
