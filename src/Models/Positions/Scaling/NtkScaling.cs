using Trainer.Configuration;

namespace Trainer.Models.Positions.Scaling;

/// <summary>NTK-aware scaling: the base becomes base·s^(d/(d−2)), so that the slowest pair is interpolated by s and the fastest stays
/// (bloc97 2023; Peng et al. 2023, arXiv 2309.00071, §3.1).</summary>
public sealed record NtkScaling : ScalingOptions
{
    internal override string Type => "ntk";

    internal override IEnumerable<Problem> Against(int turned, int contextLength) =>
        [.. base.Against(turned, contextLength), .. NeedsPairs(Type, turned)];

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) =>
        new(basis.Stretched(Ratio(contextLength)).Frequencies());

    /// <summary>A single pair turns one radian a position whatever the base is.</summary>
    internal static IEnumerable<Problem> NeedsPairs(string type, int turned)
    {
        if (turned == 2) yield return new("", $"scaling '{type}' changes the base, which a single pair of turned dimensions does not depend on; turn at least 4 dimensions of a head or use 'linear'");
    }
}
