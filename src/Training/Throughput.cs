using System.Diagnostics;
using Trainer.Models;
using Trainer.Training.Plan;

namespace Trainer.Training;

/// <summary>Speed between two records, training alone: evaluations, checkpoints and samples are not counted.</summary>
internal sealed class Throughput
{
    private readonly Stopwatch clock = new();
    private long steps;
    private long tokens;

    /// <summary>Starts or resumes counting.</summary>
    public void Resume() => clock.Start();

    /// <summary>Stops counting until <see cref="Resume"/>.</summary>
    public void Pause() => clock.Stop();

    /// <summary>The speed since the last call, at the steps and target tokens done by now.</summary>
    public (double TokensPerSecond, double StepSeconds) Lap(long stepsNow, long tokensNow)
    {
        double seconds = Math.Max(clock.Elapsed.TotalSeconds, 1e-9);
        (double, double) lap = ((tokensNow - tokens) / seconds, seconds / Math.Max(1, stepsNow - steps));
        StartAt(stepsNow, tokensNow);
        return lap;
    }

    /// <summary>Begins a lap without recording the one before.</summary>
    public void StartAt(long stepsNow, long tokensNow)
    {
        (steps, tokens) = (stepsNow, tokensNow);
        if (clock.IsRunning) clock.Restart();
        else clock.Reset();
    }
}

/// <summary>Model FLOP utilisation (MFU; Chowdhery et al. 2022, arXiv 2204.02311): the arithmetic of training relative to the device's
/// peak.</summary>
internal sealed class FlopUtilisation(double flopsPerToken, double peak)
{
    private double peak = peak;

    /// <summary>For a model in training; measures the peak of its device.</summary>
    public static FlopUtilisation Of(TrainState state, int rowLength) => new(
        ModelCost.Of(state.Model.Options, state.Model.VocabularySize).TrainingFlopsPerToken(rowLength),
        PeakArithmetic.Measure(state.Device, state.Model.ComputeType));

    /// <summary>The utilisation at a speed.</summary>
    public double At(double tokensPerSecond)
    {
        double speed = flopsPerToken * tokensPerSecond;
        // Faster than the measured peak: other programs used the machine when it was measured.
        peak = Math.Max(peak, speed);
        return speed / peak;
    }
}
