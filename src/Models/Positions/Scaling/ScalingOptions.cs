using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>How rotary frequencies are changed so that a model trained at one length works at a longer one, as configuration.</summary>
/// <remarks>Three numbers are kept apart: the original length L, the target length, which is the model's <c>contextLength</c>, and their
/// ratio, the factor s. Two of them give the third, and three that disagree are an error. A new method is one file and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LinearScaling), "linear")]
[JsonDerivedType(typeof(NtkScaling), "ntk")]
[JsonDerivedType(typeof(NtkByPartsScaling), "ntk-by-parts")]
[JsonDerivedType(typeof(DynamicNtkScaling), "dynamic-ntk")]
[JsonDerivedType(typeof(YarnScaling), "yarn")]
[JsonDerivedType(typeof(Llama3Scaling), "llama3")]
public abstract record ScalingOptions : IValidated
{
    /// <summary>The factor s: target length over original length. By default contextLength / originalLength.</summary>
    [Description("Target length over original length; by default contextLength / originalLength.")]
    public double? Factor { get; init; }

    /// <summary>The length the weights were trained at before, L, in positions. By default contextLength / factor.</summary>
    [Description("Positions the weights were trained at before; by default contextLength / factor.")]
    public int? OriginalLength { get; init; }

    /// <summary>The name in a configuration.</summary>
    internal abstract string Type { get; }

    /// <summary>The length that decides the frequencies of a sequence: equal numbers, equal frequencies.</summary>
    /// <param name="contextLength">Positions the model is made for.</param>
    /// <param name="length">Positions of the sequence.</param>
    /// <returns>The target length where the sequence's own makes no difference.</returns>
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

    /// <summary>Rules between this scaling and the rotary positions it belongs to, with paths relative to this record.</summary>
    /// <param name="turned">Turned dimensions of a head, R.</param>
    /// <param name="contextLength">Positions the model is made for: the target length.</param>
    internal virtual IEnumerable<Problem> Against(int turned, int contextLength)
    {
        if (Factor < 1 || OriginalLength < 1) yield break; // Validate has said so
        if (OriginalLength > contextLength)
            yield return new("originalLength", $"originalLength ({OriginalLength}) is longer than contextLength ({contextLength}), and scaling only makes contexts longer; set contextLength to the target length or originalLength to at most {contextLength}");
        else if (Contradiction(contextLength) is { } contradiction)
            yield return new("factor", contradiction);
    }

    /// <summary>The frequencies.</summary>
    /// <param name="basis">The unscaled ones.</param>
    /// <param name="contextLength">Positions the model is made for.</param>
    /// <param name="length">Positions of the present sequence, for a scaling that depends on it.</param>
    internal abstract RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length);

    /// <summary>The factor on all scores, beside the attention factor on queries and keys.</summary>
    internal virtual double ScoreFactor(int contextLength) => 1;

    /// <summary>What is missing of factor and original length.</summary>
    private protected virtual Problem? Missing() => Factor is null && OriginalLength is null
        ? new("", $"scaling '{Type}' needs the length the weights were trained at, originalLength, or its ratio to contextLength, factor; give one of them")
        : null;

    /// <summary>Why factor, original length and target length cannot all be right.</summary>
    private protected virtual string? Contradiction(int contextLength)
    {
        if (Factor is not { } factor || OriginalLength is not { } original) return null;
        double target = factor * original;
        return Math.Abs(target - contextLength) < 1
            ? null
            : $"factor ({factor}) × originalLength ({original}) is {target}, and contextLength is {contextLength}; set factor to {contextLength / (double)original:0.######}, or contextLength to {Math.Round(target)}, or leave factor out";
    }

    /// <summary>The factor s.</summary>
    private protected double Ratio(int contextLength) => Factor ?? contextLength / (double)OriginalLength!;

    /// <summary>The original length L.</summary>
    private protected double Original(int contextLength) => OriginalLength ?? contextLength / Factor!.Value;
}
