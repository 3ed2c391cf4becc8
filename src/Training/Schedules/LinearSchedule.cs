namespace Trainer.Training;

/// <summary>Warm-up, then a straight line down to the minimum.</summary>
public sealed record LinearSchedule : DecayAfterWarmup
{
    /// <inheritdoc/>
    protected override double Share(double progress) => 1 - progress;
}
