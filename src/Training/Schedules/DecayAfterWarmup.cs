using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>A schedule that falls from the end of the warm-up until one step, and stays at its minimum from there.</summary>
public abstract record DecayAfterWarmup : DecayingSchedule
{
    /// <summary>The step at which the minimum is reached; <c>null</c>: <c>training.steps</c>. Set it where a run will be
    /// lengthened later: the learning rates of the steps already taken then stay what they were.</summary>
    [Description("The step at which the minimum is reached; null: training.steps. Set it where a run will be lengthened later.")]
    [Range(1, long.MaxValue)]
    public long? DecaySteps { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> ValidateFor(long steps, double peak)
    {
        foreach (Problem problem in base.ValidateFor(steps, peak)) yield return problem;
        if (DecaySteps < WarmupSteps)
            yield return new("decaySteps", $"decaySteps ({DecaySteps}) must be at least warmupSteps ({WarmupSteps}): the decay begins where the warm-up ends");
    }

    /// <inheritdoc/>
    protected sealed override double AfterWarmup(long step, long steps, double peak)
    {
        long end = DecaySteps ?? steps;
        if (step > end) return MinimumLearningRate;
        double progress = end == WarmupSteps ? 0 : (double)(step - WarmupSteps) / (end - WarmupSteps);
        return Between(Share(progress), peak);
    }

    /// <summary>The shape of the decay.</summary>
    /// <param name="progress">How much of the decay is over, 0 … 1.</param>
    /// <returns>How much of the way from the minimum to the peak is left, 1 … 0.</returns>
    protected abstract double Share(double progress);
}
