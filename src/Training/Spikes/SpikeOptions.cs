using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Training.Spikes;

/// <summary>When a step is skipped because its loss or gradient norm lies far above those before it: the section <c>training.spikes</c>,
/// after OLMo-core's <c>SkipStepOptimizer</c>, whose values are the defaults.</summary>
public sealed record SpikeOptions
{
    /// <summary>Standard deviations above the mean from which on a step is a spike.</summary>
    [Description("How many standard deviations above the mean of the last steps the loss or the gradient norm has to be for its step to " +
        "be skipped.")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double Deviations { get; init; } = 6;

    /// <summary>Steps that mean and deviation are computed of; a spike is among them as the least that would have been one.</summary>
    [Description("How many of the last steps mean and deviation are computed of; nothing is skipped before there are half as many.")]
    [Range(4, 1 << 20)]
    public int Window { get; init; } = 128;
}
