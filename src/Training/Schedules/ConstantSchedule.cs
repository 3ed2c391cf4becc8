namespace Trainer.Training;

/// <summary>Warm-up, then the peak until the end.</summary>
public sealed record ConstantSchedule : ScheduleOptions
{
    /// <inheritdoc/>
    protected override double AfterWarmup(long step, long steps, double peak) => peak;
}
