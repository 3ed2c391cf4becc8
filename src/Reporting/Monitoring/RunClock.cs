namespace Trainer.Reporting.Monitoring;

internal sealed class RunClock(RunProgress run, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();
    private readonly RemainingTime _remaining = new(run.TotalSteps);

    public TimeSpan Elapsed => time.GetElapsedTime(_start);

    /// <summary>Counts down; null until a step is known.</summary>
    public TimeSpan? Left => _remaining.At(Elapsed);

    public DateTimeOffset? End => Left is { } left && left < TimeSpan.FromDays(3650) ? time.GetLocalNow() + left : null;

    public void Observe(StepMetrics metrics) => _remaining.Observe(metrics.Step, Elapsed, metrics.StepSeconds);
}

/// <summary>A moving average of a step's seconds over about half of the time since the start: quick to settle, steady later. It is
/// wall-clock time, so evaluations and checkpoints count, and a long one does not make the estimate jump.</summary>
internal sealed class RemainingTime(long totalSteps)
{
    private const double ShortestWindow = 20;

    private double _seconds;
    private double _steps;
    private double _elapsed;
    private (long Step, TimeSpan Time)? _last;

    /// <summary>Takes the steps done by now, on a steady clock; <paramref name="stepSeconds"/> counts until two are known.</summary>
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

    /// <summary>All else included; 0 before the first observation.</summary>
    public double SecondsPerStep { get; private set; }

    public TimeSpan? At(TimeSpan now) => _last is not { } last || !double.IsFinite(SecondsPerStep)
        ? null
        : TimeSpan.FromSeconds(Math.Clamp((totalSteps - last.Step) * SecondsPerStep - (now - last.Time).TotalSeconds, 0,
            TimeSpan.MaxValue.TotalSeconds / 2));
}
