using System.Diagnostics;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Training.Plan;

namespace Trainer.Training;

/// <summary>Speed of training alone between two records: evaluations, checkpoints and samples are not counted.</summary>
internal sealed class Throughput
{
    private readonly Stopwatch clock = new();
    private long steps;
    private long tokens;
    private TimeSpan laps;

    /// <summary>All of it, so far.</summary>
    public TimeSpan Total => laps + clock.Elapsed;

    public void Resume() => clock.Start();

    public void Pause() => clock.Stop();

    /// <summary>The speed since the last call, given the steps and target tokens done by now.</summary>
    public (double TokensPerSecond, double StepSeconds) Lap(long stepsNow, long tokensNow)
    {
        double seconds = Math.Max(clock.Elapsed.TotalSeconds, 1e-9);
        (double, double) lap = ((tokensNow - tokens) / seconds, seconds / Math.Max(1, stepsNow - steps));
        StartAt(stepsNow, tokensNow);
        return lap;
    }

    public void StartAt(long stepsNow, long tokensNow)
    {
        laps += clock.Elapsed;
        (steps, tokens) = (stepsNow, tokensNow);
        if (clock.IsRunning) clock.Restart();
        else clock.Reset();
    }
}

/// <summary>Model FLOP utilisation (Chowdhery et al. 2022, arXiv 2204.02311): arithmetic relative to the device's peak.</summary>
internal sealed class FlopUtilisation(Func<int, double> flopsPerToken, double peak)
{
    private double peak = peak;

    public static FlopUtilisation Of(TrainState state, int ranks)
    {
        ModelCost cost = ModelCost.Of(state.Model.Options, state.Model.Outputs);
        AdapterCost? adapter = state.Model.Adapter is { } options
            ? AdapterCost.Of(state.Model.Options, state.Model.Outputs, options)
            : null;
        // Of patches the targets are counted: a class for all positions of a picture, many values for those of a window.
        double positions = state.Model.Options.PatchInput() is { } patches ? (double)state.Model.ContextLength / patches.TargetsOf() : 1;
        // Where a reference is kept, batches are read by both models first.
        double Compared(int length) =>
            state.Reference is { Model: not null } reference ? reference.FlopsPerToken(length) + cost.ForwardFlopsPerToken(length) : 0;
        return new(
            length => positions * ((state.Teacher?.FlopsPerToken(length) ?? 0) + Compared(length) + (adapter is null
                ? cost.TrainingFlopsPerToken(length)
                : cost.TrainingFlopsPerToken(length, adapter, state.Model.Options.TieEmbeddings))),
            ranks * PeakFlops.Measure(state.Device, state.Model.ComputeType));
    }

    /// <summary>The utilisation in training on rows of <paramref name="length"/> tokens.</summary>
    public double At(double tokensPerSecond, int length)
    {
        double speed = flopsPerToken(length) * tokensPerSecond;
        // Faster than the measured peak: other programs used the machine when it was measured.
        peak = Math.Max(peak, speed);
        return speed / peak;
    }
}
