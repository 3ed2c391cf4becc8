using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Training;

/// <summary>Warm-up, a long stretch at the peak, and a straight line down at the end (Hu et al. 2024, MiniCPM, arXiv
/// 2404.06395): checkpoints of the stretch can be continued with any number of steps.</summary>
public sealed record WarmupStableDecaySchedule : DecayingSchedule
{
    /// <summary>The share of all steps, at the end of the run, over which the learning rate falls.</summary>
    [Description("The share of all steps, at the end of the run, over which the learning rate falls.")]
    [Range(0.0, 1.0)]
    public double DecayFraction { get; init; } = 0.2;

    /// <inheritdoc/>
    protected override double AfterWarmup(long step, long steps, double peak)
    {
        long from = DecayFrom(steps);
        if (step < from) return peak;
        return step >= steps ? MinimumLearningRate : Between((double)(steps - step) / (steps - from), peak);
    }

    private long DecayFrom(long steps) => Math.Max(WarmupSteps, steps - (long)Math.Round(DecayFraction * steps));
}
