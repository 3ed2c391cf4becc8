using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>NTK-aware scaling by the length of the sequence itself, so that one no longer than the original length is not scaled
/// at all: s = factor·length/L − (factor − 1) (emozilla 2023, and Hugging Face's formula).</summary>
/// <remarks>
/// <para>The frequencies belong to a whole sequence, and keys turned with those of one length do not match queries of
/// another. Decoding therefore takes the length from the capacity its state was made with: every key is turned with the same
/// frequencies, and any split into steps equals the full forward of a sequence of that length. Make the state no
/// larger than what is to be decoded.</para>
/// <para>The factor says how fast the scaling grows, and is 1, s = length/L, when left out; the original length is
/// contextLength when left out. Neither contradicts a target length, since there is none.</para>
/// </remarks>
public sealed record DynamicNtkScaling : ScalingOptions
{
    internal override string Type => "dynamic-ntk";

    internal override int DecidingLength(int contextLength, int length) => Math.Max(length, OriginalLength ?? contextLength);

    internal override IEnumerable<Problem> Against(int turned, int contextLength) =>
        [.. base.Against(turned, contextLength), .. NtkScaling.NeedsPairs(Type, turned)];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length)
    {
        double original = OriginalLength ?? contextLength, growth = Factor ?? 1;
        double factor = growth * DecidingLength(contextLength, length) / original - (growth - 1);
        return new(basis.Stretched(factor).Frequencies());
    }

    private protected override Problem? Missing() => null;

    private protected override string? Contradiction(int contextLength) => null;
}
