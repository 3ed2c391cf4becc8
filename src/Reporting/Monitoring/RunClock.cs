namespace Trainer.Reporting.Monitoring;

/// <summary>How long a run has been going on, and how long it will.</summary>
internal sealed class RunClock(RunProgress run, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();
    private readonly RemainingTime _remaining = new(run.TotalSteps);

    /// <summary>Time since this process started or resumed the run.</summary>
    public TimeSpan Elapsed => time.GetElapsedTime(_start);

    /// <summary>Time left, counting down; null until a step is known.</summary>
    public TimeSpan? Left => _remaining.At(Elapsed);

    /// <summary>When the run will be done, in local time.</summary>
    public DateTimeOffset? End => Left is { } left && left < TimeSpan.FromDays(3650) ? time.GetLocalNow() + left : null;

    /// <summary>Takes note of a step.</summary>
    public void Observe(StepMetrics metrics) => _remaining.Observe(metrics.Step, Elapsed, metrics.StepSeconds);
}
