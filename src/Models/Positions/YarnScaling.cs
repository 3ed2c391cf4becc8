using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Positions;

/// <summary>NTK-by-parts and YaRN: fast pairs keep their frequency, slow ones are interpolated, with a ramp between.</summary>
public abstract record PartsScaling : ScalingOptions
{
    /// <summary>Rotations within the original length from which a pair keeps its frequency.</summary>
    [Description("Rotations within the original length from which a pair keeps its frequency.")]
    [Range(1e-6, 1e9)]
    public double BetaFast { get; init; } = 32;

    /// <summary>Rotations within the original length up to which a pair is interpolated.</summary>
    [Description("Rotations within the original length up to which a pair is interpolated.")]
    [Range(1e-6, 1e9)]
    public double BetaSlow { get; init; } = 1;

    /// <summary>What the ramp runs along.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public abstract FrequencyRamp Ramp { get; init; }

    /// <summary>Whether a ramp along pairs is rounded outwards to whole pairs; true by default. Only with ramp 'pairs'.</summary>
    [Description("Whether a ramp along pairs is rounded outwards to whole pairs; by default it is.")]
    public bool? Truncate { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (BetaFast <= BetaSlow)
            yield return new("betaFast", $"betaFast ({BetaFast}) must be more turns than betaSlow ({BetaSlow}); the papers use 32 and 1");
        if (Truncate is not null && Ramp == FrequencyRamp.Rotations)
            yield return new(
                "truncate",
                "truncate rounds the ends of a ramp along pairs, and this ramp runs along turns; " +
                "leave truncate out or set ramp to 'pairs'");
    }

    private protected double[] Blended(FrequencyBasis basis, int contextLength)
    {
        double original = Original(contextLength);
        double[] kept = Ramp == FrequencyRamp.Rotations
            ? FrequencyRamps.AlongRotations(basis, original, BetaFast, BetaSlow)
            : FrequencyRamps.AlongPairs(basis, original, BetaFast, BetaSlow, Truncate ?? true);
        return RotaryFrequencies.Blend(basis, Ratio(contextLength), kept);
    }
}

/// <summary>NTK-by-parts: pairs that rotate often within the original length keep their frequency, those below one rotation are
/// interpolated, with a ramp between (Peng et al. 2023, arXiv 2309.00071, §3.2).</summary>
public sealed record NtkByPartsScaling : PartsScaling
{
    /// <summary>What the ramp runs along: rotations by default, as in the paper.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public override FrequencyRamp Ramp { get; init; } = FrequencyRamp.Rotations;

    internal override string Type => "ntk-by-parts";

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) => new(Blended(basis, contextLength));
}

/// <summary>YaRN: NTK-by-parts with queries and keys scaled by 0.1·ln s + 1 (Peng et al. 2023, arXiv 2309.00071, §3.3).</summary>
/// <remarks>DeepSeek-V2's code has m(x) = 0.1·x·ln s + 1, and scales rotary dimensions of queries and keys by m(mscale)/m(mscaleAllDim),
/// all scores by m(mscaleAllDim)². The paper's factor is mscale 1 and mscaleAllDim 0.</remarks>
public sealed record YarnScaling : PartsScaling
{
    /// <summary>What the ramp runs along: pairs by default, as in the published code.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public override FrequencyRamp Ramp { get; init; } = FrequencyRamp.Pairs;

    /// <summary>The final factor on queries and keys; 0.1·ln s + 1 by default.</summary>
    [Description("The final factor on queries and on keys; by default 0.1·ln(factor) + 1.")]
    [Range(1e-6, 1e6)]
    public double? AttentionFactor { get; init; }

    /// <summary>DeepSeek's weight of ln s on rotary dimensions; 1 by default.</summary>
    [Description("DeepSeek's weight of ln(factor) on rotated dimensions; 1 when left out.")]
    [Range(0, 1e6)]
    public double? Mscale { get; init; }

    /// <summary>DeepSeek's weight of ln s on all dimensions; 0 by default.</summary>
    [Description("DeepSeek's weight of ln(factor) on all dimensions; 0 when left out.")]
    [Range(0, 1e6)]
    public double? MscaleAllDim { get; init; }

    internal override string Type => "yarn";

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (AttentionFactor is not null && (Mscale ?? MscaleAllDim) is not null)
            yield return new(
                "attentionFactor",
                $"attentionFactor ({AttentionFactor}) is final, and {(Mscale is not null ? "mscale" : "mscaleAllDim")} " +
                $"({Mscale ?? MscaleAllDim}) would give another; leave one of them out");
    }

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new(Blended(basis, contextLength)) { AttentionFactor = ResolvedAttentionFactor(contextLength) };

    internal double ResolvedAttentionFactor(int contextLength) =>
        AttentionFactor ?? Magnitude(contextLength, Mscale ?? 1) / Magnitude(contextLength, MscaleAllDim ?? 0);

    internal override double ScoreFactor(int contextLength) => Math.Pow(Magnitude(contextLength, MscaleAllDim ?? 0), 2);

    private double Magnitude(int contextLength, double weight) => 0.1 * weight * Math.Log(Ratio(contextLength)) + 1;
}

/// <summary>What the kept share of a frequency falls along, from 1 to 0.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FrequencyRamp>))]
public enum FrequencyRamp
{
    /// <summary>The rotations of a pair in the original length, as in the papers (Peng et al. 2023, eq. 18).</summary>
    [JsonStringEnumMemberName("turns")]
    Rotations,

    /// <summary>The index of the pair, as in the published code of YaRN, Hugging Face and DeepSeek.</summary>
    [JsonStringEnumMemberName("pairs")]
    Pairs,
}

internal static class FrequencyRamps
{
    /// <summary>γ linear in the rotations r_i = L·θ_i/2π: 0 below <paramref name="slow"/>, 1 above <paramref name="fast"/>.</summary>
    public static double[] AlongRotations(FrequencyBasis basis, double length, double fast, double slow) =>
        [.. basis.Frequencies().Select(theta => Math.Clamp((length * theta / (2 * Math.PI) - slow) / (fast - slow), 0, 1))];

    /// <summary>γ linear in the pair's index, between those of <paramref name="fast"/> and <paramref name="slow"/> rotations.</summary>
    public static double[] AlongPairs(FrequencyBasis basis, double length, double fast, double slow, bool truncate)
    {
        double first = basis.PairOfRotations(fast, length), last = basis.PairOfRotations(slow, length);
        if (truncate) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, basis.Dims - 1));
        if (first == last) last += 0.001; // a step, as in the published code, not a division by zero
        return [.. Enumerable.Range(0, basis.Dims / 2).Select(i => 1 - Math.Clamp((i - first) / (last - first), 0, 1))];
    }
}
