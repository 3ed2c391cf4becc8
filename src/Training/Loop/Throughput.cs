using System.Diagnostics;

namespace Trainer.Training;

/// <summary>Speed between two records, training alone: evaluations, checkpoints and samples are not counted.</summary>
internal sealed class Throughput
{
    private readonly Stopwatch clock = new();
    private long steps;
    private long tokens;

    /// <summary>Starts or goes on counting.</summary>
    public void Resume() => clock.Start();

    /// <summary>Stops counting until <see cref="Resume"/>.</summary>
    public void Pause() => clock.Stop();

    /// <summary>The speed since the last call.</summary>
    /// <param name="stepsNow">Optimizer steps done.</param>
    /// <param name="tokensNow">Target tokens trained on.</param>
    public (double TokensPerSecond, double StepSeconds) Lap(long stepsNow, long tokensNow)
    {
        double seconds = Math.Max(clock.Elapsed.TotalSeconds, 1e-9);
        (double, double) lap = ((tokensNow - tokens) / seconds, seconds / Math.Max(1, stepsNow - steps));
        StartAt(stepsNow, tokensNow);
        return lap;
    }

    /// <summary>Begins a lap without a record before it.</summary>
    public void StartAt(long stepsNow, long tokensNow)
    {
        (steps, tokens) = (stepsNow, tokensNow);
        if (clock.IsRunning) clock.Restart();
        else clock.Reset();
    }
}
