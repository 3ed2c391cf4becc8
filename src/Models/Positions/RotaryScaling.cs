using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Positions;

/// <summary>Scaled rotary frequencies, for a context longer than a model was trained at.</summary>
/// <remarks>Original length L, target length (the model's <c>contextLength</c>) and their ratio s: two give the third, and three that
/// disagree are an error. A new method is a record and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LinearScaling), "linear")]
[JsonDerivedType(typeof(NtkScaling), "ntk")]
[JsonDerivedType(typeof(NtkByPartsScaling), "ntk-by-parts")]
[JsonDerivedType(typeof(DynamicNtkScaling), "dynamic-ntk")]
[JsonDerivedType(typeof(YarnScaling), "yarn")]
[JsonDerivedType(typeof(Llama3Scaling), "llama3")]
public abstract record ScalingOptions : IValidated
{
    /// <summary>The factor s, target length over original length; by default contextLength / originalLength.</summary>
    [Description("Target length over original length; by default contextLength / originalLength.")]
    public double? Factor { get; init; }

    /// <summary>The length L the weights were trained at; by default contextLength / factor.</summary>
    [Description("Positions the weights were trained at before; by default contextLength / factor.")]
    public int? OriginalLength { get; init; }

    internal abstract string Type { get; }

    /// <summary>The length that decides a sequence's frequencies: contextLength, or its own in dynamic scalings.</summary>
    internal virtual int DecidingLength(int contextLength, int length) => contextLength;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate()
    {
        if (Factor is < 1 or double.NaN or double.PositiveInfinity)
            yield return new("factor", $"factor ({Factor}) is the target length over the original length; use 1 or more");
        if (OriginalLength < 1)
            yield return new("originalLength", $"originalLength ({OriginalLength}) is a number of positions; use 1 or more");
        if (Missing() is { } missing) yield return missing;
    }

    internal virtual IEnumerable<Problem> Against(int rotaryDims, int contextLength)
    {
        if (Factor < 1 || OriginalLength < 1) yield break; // Validate has said so
        if (OriginalLength > contextLength)
            yield return new(
                "originalLength",
                $"originalLength ({OriginalLength}) is longer than contextLength ({contextLength}), and scaling only makes contexts " +
                $"longer; set contextLength to the target length or originalLength to at most {contextLength}");
        else if (Contradiction(contextLength) is { } contradiction)
            yield return new("factor", contradiction);
    }

    internal abstract RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length);

    internal virtual double ScoreFactor(int contextLength) => 1;

    private protected virtual Problem? Missing() => Factor is null && OriginalLength is null
        ? new(
            "",
            $"scaling '{Type}' needs the length the weights were trained at, originalLength, or its ratio to contextLength, factor; " +
            "give one of them")
        : null;

    private protected virtual string? Contradiction(int contextLength)
    {
        if (Factor is not { } factor || OriginalLength is not { } original) return null;
        double target = factor * original;
        return Math.Abs(target - contextLength) < 1
            ? null
            : $"factor ({factor}) × originalLength ({original}) is {target}, and contextLength is {contextLength}; set factor to " +
                $"{contextLength / (double)original:0.######}, or contextLength to {Math.Round(target)}, or leave factor out";
    }

    private protected double Ratio(int contextLength) => Factor ?? contextLength / (double)OriginalLength!;

    private protected double Original(int contextLength) => OriginalLength ?? contextLength / Factor!.Value;
}

/// <summary>Position interpolation: position / s (Chen et al. 2023, arXiv 2306.15595).</summary>
public sealed record LinearScaling : ScalingOptions
{
    internal override string Type => "linear";

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new([.. basis.Frequencies().Select(theta => theta / Ratio(contextLength))]);
}

/// <summary>NTK-aware scaling: base·s^(d/(d−2)) interpolates the slowest pair by s and the fastest not at all (bloc97 2023; Peng et al.
/// 2023, arXiv 2309.00071, §3.1).</summary>
public sealed record NtkScaling : ScalingOptions
{
    internal override string Type => "ntk";

    internal override IEnumerable<Problem> Against(int rotaryDims, int contextLength) =>
        [.. base.Against(rotaryDims, contextLength), .. NeedsPairs(Type, rotaryDims)];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new(basis.Stretched(Ratio(contextLength)).Frequencies());

    internal static IEnumerable<Problem> NeedsPairs(string type, int rotaryDims)
    {
        if (rotaryDims == 2)
            yield return new(
                "",
                $"scaling '{type}' changes the base, which a single pair of turned dimensions does not depend on; turn at least 4 " +
                "dimensions of a head or use 'linear'");
    }
}

/// <summary>NTK-aware scaling by the sequence's own length, none up to the original length: s = factor·length/L − (factor − 1) (emozilla
/// 2023, and Hugging Face's formula).</summary>
/// <remarks><para>All keys and queries of a sequence need the same frequencies, so decoding takes the length from its state's capacity. Any
/// split into steps then equals the full forward of a sequence of that length; make the state no larger than needed.</para>
/// <para>The factor, 1 if left out (s = length/L), says how fast the scaling grows; the original length defaults to contextLength. There is
/// no target length for them to contradict.</para></remarks>
public sealed record DynamicNtkScaling : ScalingOptions
{
    internal override string Type => "dynamic-ntk";

    internal override int DecidingLength(int contextLength, int length) => Math.Max(length, OriginalLength ?? contextLength);

    internal override IEnumerable<Problem> Against(int rotaryDims, int contextLength) =>
        [.. base.Against(rotaryDims, contextLength), .. NtkScaling.NeedsPairs(Type, rotaryDims)];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length)
    {
        double original = OriginalLength ?? contextLength, growth = Factor ?? 1;
        double factor = growth * DecidingLength(contextLength, length) / original - (growth - 1);
        return new(basis.Stretched(factor).Frequencies());
    }

    private protected override Problem? Missing() => null;

    private protected override string? Contradiction(int contextLength) => null;
}

/// <summary>Llama 3.1's: pairs with <see cref="HighFrequencyFactor"/> rotations or more within the original length keep their frequency,
/// those with <see cref="LowFrequencyFactor"/> or fewer are interpolated by s, and those between by a share that grows linearly
/// (Grattafiori et al. 2024, arXiv 2407.21783, and its code).</summary>
public sealed record Llama3Scaling : ScalingOptions
{
    /// <summary>Rotations within the original length up to which a pair is interpolated.</summary>
    [Description("Rotations within the original length up to which a pair is interpolated.")]
    [Range(1e-6, 1e9)]
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Rotations within the original length from which a pair keeps its frequency.</summary>
    [Description("Rotations within the original length from which a pair keeps its frequency.")]
    [Range(1e-6, 1e9)]
    public double HighFrequencyFactor { get; init; } = 4;

    internal override string Type => "llama3";

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        foreach (Problem problem in base.Validate()) yield return problem;
        if (HighFrequencyFactor <= LowFrequencyFactor)
            yield return new(
                "highFrequencyFactor",
                $"highFrequencyFactor ({HighFrequencyFactor}) must be more than lowFrequencyFactor ({LowFrequencyFactor}); " +
                "Llama 3.1 uses 4 and 1");
    }

    internal override IEnumerable<Problem> Against(int rotaryDims, int contextLength) => [];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length)
    {
        double[] kept = FrequencyRamps.AlongRotations(basis, OriginalLength!.Value, HighFrequencyFactor, LowFrequencyFactor);
        return new(RotaryFrequencies.Blend(basis, Factor!.Value, kept));
    }

    private protected override Problem? Missing() => Factor is null || OriginalLength is null
        ? new(
            "",
            "scaling 'llama3' needs both factor and originalLength: its factor is not the ratio of the lengths; Llama 3.1 uses 8 and 8192")
        : null;
}

/// <summary>Radians per position of each pair: (R/2), float64.</summary>
internal sealed record RotaryFrequencies(double[] Angular)
{
    /// <summary>A factor on queries and on keys, applied to cosines and sines; scores get its square.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>The frequencies for a sequence of <paramref name="length"/>, which only a dynamic scaling reads.</summary>
    public static RotaryFrequencies Of(int rotaryDims, double theta, ScalingOptions? scaling, int contextLength, int length)
    {
        FrequencyBasis basis = new(rotaryDims, theta);
        return scaling?.Apply(basis, contextLength, length) ?? new(basis.Frequencies());
    }

    /// <summary>γ·θ + (1 − γ)·θ/s for each pair: γ = 1 keeps its frequency, 0 interpolates (Peng et al. 2023, eq. 22).</summary>
    public static double[] Blend(FrequencyBasis basis, double factor, double[] kept) =>
        [.. basis.Frequencies().Zip(kept, (theta, gamma) => gamma * theta + (1 - gamma) * theta / factor)];
}

/// <summary>The unscaled frequencies of sinusoidal and rotary positions: θ_i = base^(−2i/d) for d dimensions.</summary>
internal readonly record struct FrequencyBasis(int Dims, double Theta)
{
    public double[] Frequencies() // θ_i, in radians per position
    {
        (int dims, double theta) = (Dims, Theta);
        return [.. Enumerable.Range(0, dims / 2).Select(i => Math.Pow(theta, -2.0 * i / dims))];
    }

    /// <summary>Slows the slowest frequency by s and keeps the fastest: base·s^(d/(d−2)) (bloc97 2023, "NTK-aware").</summary>
    public FrequencyBasis Stretched(double factor) => this with { Theta = Theta * Math.Pow(factor, Dims / (Dims - 2.0)) };

    /// <summary>The index, fractional, of the pair that makes so many rotations in <paramref name="length"/> positions.</summary>
    public double PairOfRotations(double rotations, double length) =>
        Dims * Math.Log(length / (rotations * 2 * Math.PI)) / (2 * Math.Log(Theta));
}
