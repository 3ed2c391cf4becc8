namespace Trainer.Training;

/// <summary>Warm-up, then half a cosine down to the minimum (Loshchilov and Hutter 2017, arXiv 1608.03983, without
/// restarts; step for step nanoGPT's <c>get_lr</c>).</summary>
public sealed record CosineSchedule : DecayAfterWarmup
{
    /// <inheritdoc/>
    protected override double Share(double progress) => 0.5 * (1 + Math.Cos(Math.PI * progress));
}
