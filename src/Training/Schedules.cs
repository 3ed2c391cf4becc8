using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>The learning rate as a pure function of the step. Warm-up follows nanoGPT: step s of w warm-up steps (both from 0) trains with
/// peak · (s + 1) / (w + 1), so that the first step already moves and step w is the first at the peak.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CosineSchedule), "cosine")]
[JsonDerivedType(typeof(LinearSchedule), "linear")]
[JsonDerivedType(typeof(ConstantSchedule), "constant")]
[JsonDerivedType(typeof(WarmupStableDecaySchedule), "warmup-stable-decay")]
public abstract record ScheduleOptions
{
    /// <summary>Steps over which the learning rate rises linearly to its peak; 0 for none.</summary>
    [Description("Steps over which the learning rate rises linearly to its peak; 0 for none.")]
    [Range(0, int.MaxValue)]
    public int WarmupSteps { get; init; }

    internal double LearningRate(long step, long steps, double peak) =>
        step < WarmupSteps ? peak * (step + 1) / (WarmupSteps + 1) : AfterWarmup(step, steps, peak);

    /// <summary>Problems that only the rest of the recipe reveals, with paths relative to this record. A run shorter than its warm-up is
    /// allowed, so that a recipe can be tried with a few steps; the run logs it.</summary>
    public virtual IEnumerable<Problem> ValidateFor(long steps, double peak) => [];

    /// <summary>The learning rate of a step at or past the end of the warm-up.</summary>
    protected abstract double AfterWarmup(long step, long steps, double peak);
}

/// <summary>Warm-up, then the peak until the end.</summary>
public sealed record ConstantSchedule : ScheduleOptions
{
    /// <inheritdoc/>
    protected override double AfterWarmup(long step, long steps, double peak) => peak;
}

/// <summary>A schedule that falls from the peak to a minimum.</summary>
public abstract record DecayingSchedule : ScheduleOptions
{
    /// <summary>Where the learning rate ends.</summary>
    [Description("The learning rate at the end of the decay.")]
    [Range(0.0, double.MaxValue)]
    public double MinimumLearningRate { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> ValidateFor(long steps, double peak)
    {
        if (MinimumLearningRate > peak)
            yield return new("minimumLearningRate", $"minimumLearningRate ({MinimumLearningRate}) must be at most " +
                $"optimizer.learningRate ({peak})");
    }

    /// <summary>The learning rate between the minimum (share 0) and the peak (share 1).</summary>
    protected double Between(double share, double peak) => MinimumLearningRate + share * (peak - MinimumLearningRate);
}

/// <summary>A schedule that falls from the end of the warm-up to a step, and then stays at its minimum.</summary>
public abstract record DecayAfterWarmup : DecayingSchedule
{
    /// <summary>The step that reaches the minimum; null: <c>training.steps</c>. Where a run will be lengthened later, it keeps the learning
    /// rates of steps already taken what they were.</summary>
    [Description("The step at which the minimum is reached; null: training.steps. Set it where a run will be lengthened later.")]
    [Range(1, long.MaxValue)]
    public long? DecaySteps { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> ValidateFor(long steps, double peak)
    {
        foreach (Problem problem in base.ValidateFor(steps, peak)) yield return problem;
        if (DecaySteps < WarmupSteps)
            yield return new("decaySteps", $"decaySteps ({DecaySteps}) must be at least warmupSteps ({WarmupSteps}): the decay begins " +
                "where the warm-up ends");
    }

    /// <inheritdoc/>
    protected sealed override double AfterWarmup(long step, long steps, double peak)
    {
        long end = DecaySteps ?? steps;
        if (step > end) return MinimumLearningRate;
        double progress = end == WarmupSteps ? 0 : (double)(step - WarmupSteps) / (end - WarmupSteps);
        return Between(Share(progress), peak);
    }

    /// <summary>The shape of the decay: progress 0 … 1 to the remaining share of the way from minimum to peak, 1 … 0.</summary>
    protected abstract double Share(double progress);
}

/// <summary>Warm-up, then half a cosine down to the minimum (Loshchilov and Hutter 2017, arXiv 1608.03983) as in nanoGPT.</summary>
public sealed record CosineSchedule : DecayAfterWarmup
{
    /// <inheritdoc/>
    protected override double Share(double progress) => 0.5 * (1 + Math.Cos(Math.PI * progress));
}

/// <summary>Warm-up, then a straight line down to the minimum.</summary>
public sealed record LinearSchedule : DecayAfterWarmup
{
    /// <inheritdoc/>
    protected override double Share(double progress) => 1 - progress;
}

/// <summary>Warm-up, a long stretch at the peak, from whose checkpoints runs of any length can continue, and a straight line down (Hu et
/// al. 2024, MiniCPM, arXiv 2404.06395).</summary>
public sealed record WarmupStableDecaySchedule : DecayingSchedule
{
    /// <summary>The share of all steps, at the end, over which the learning rate falls.</summary>
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
