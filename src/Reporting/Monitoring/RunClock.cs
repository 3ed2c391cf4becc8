namespace Trainer.Reporting.Monitoring;

/// <summary>Elapsed and remaining time of a run.</summary>
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

/// <summary>Estimates when a run will be done.</summary>
/// <remarks>A moving average of the seconds that a step costs, over about half of the time since the start: quick to settle at the start,
/// steady later. It is taken over wall-clock time, so evaluations and checkpoints count, and a long evaluation does not make the estimate
/// jump.</remarks>
internal sealed class RemainingTime(long totalSteps)
{
    private const double ShortestWindow = 20;

    private double _seconds;
    private double _steps;
    private double _elapsed;
    private (long Step, TimeSpan Time)? _last;

    /// <summary>Takes note of a step.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="now">The time, on any clock that runs evenly.</param>
    /// <param name="stepSeconds">What a step costs by itself: the estimate until two steps are known.</param>
    public void Observe(long step, TimeSpan now, double stepSeconds)
    {
        if (_last is { } last && step > last.Step && now > last.Time)
        {
            var seconds = (now - last.Time).TotalSeconds;
            _elapsed += seconds;
            var decay = Math.Exp(-seconds / Math.Max(ShortestWindow, _elapsed / 2));
            // Seconds and steps fade apart from each other: the mean of their quotients would overrate slow stretches.
            _seconds = _seconds * decay + seconds;
            _steps = _steps * decay + (step - last.Step);
        }
        _last = (step, now);
        SecondsPerStep = _steps > 0 ? _seconds / _steps : stepSeconds;
    }

    /// <summary>What a step costs, all else included; 0 before the first observation.</summary>
    public double SecondsPerStep { get; private set; }

    /// <summary>Time left at <paramref name="now"/>, counting down between steps; null before the first observation.</summary>
    public TimeSpan? At(TimeSpan now) => _last is not { } last || !double.IsFinite(SecondsPerStep)
        ? null
        : TimeSpan.FromSeconds(Math.Clamp((totalSteps - last.Step) * SecondsPerStep - (now - last.Time).TotalSeconds, 0,
            TimeSpan.MaxValue.TotalSeconds / 2));
}
