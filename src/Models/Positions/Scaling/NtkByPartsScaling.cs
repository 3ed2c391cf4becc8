using System.ComponentModel;

namespace Trainer.Models.Positions.Scaling;

/// <summary>NTK-by-parts: pairs that turn often within the original length keep their frequency, pairs that turn less than once are
/// interpolated, with a ramp between (Peng et al. 2023, arXiv 2309.00071, §3.2).</summary>
/// <remarks>With ramp 'pairs' it is YaRN without its attention factor.</remarks>
public sealed record NtkByPartsScaling : PartsScaling
{
    /// <summary>Along what the ramp runs: by default the turns, as the paper defines it.</summary>
    [Description("Along what the ramp runs: turns (the paper) or pairs (YaRN's published code).")]
    public override FrequencyRamp Ramp { get; init; } = FrequencyRamp.Turns;

    internal override string Type => "ntk-by-parts";

    internal override RotaryFrequencies Apply(FrequencyBasis basis, int contextLength, int length) => new(Blended(basis, contextLength));
}
