using System.Diagnostics;
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Devices;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training.Plan;

/// <summary>What a short run came to.</summary>
/// <param name="StepSeconds">Of a step: the mean of all but the first tenth, as the machine's speed changes.</param>
/// <param name="EvaluationSeconds">Of the evaluation after the last step.</param>
/// <param name="PeakBytes">The most that tensors took.</param>
/// <param name="Steps">Of the run.</param>
/// <param name="Loss">Of that evaluation, in nats a token.</param>
internal sealed record Trial(double StepSeconds, double EvaluationSeconds, long? PeakBytes, long Steps, double Loss);

/// <summary>Runs in a folder of their own, which is removed.</summary>
internal sealed class TrialRuns(string datasetsDirectory)
{
    // What a run leaves: other ones need it, too, as libtorch keeps what its operations set up when they are first used.
    private readonly long before = Settled();

    /// <summary>Seconds of a step, from training until <paramref name="limit"/> has passed: the mean of the second half, when all code is
    /// compiled.</summary>
    public double StepSeconds(Recipe recipe, TimeSpan limit)
    {
        recipe = recipe with { Evaluation = recipe.Evaluation with { Every = 0 }, Checkpoint = recipe.Checkpoint with { Every = 0 } };
        return Watched(recipe, limit).Watch.MeanWithout(0.5);
    }

    /// <summary>Trains all steps of a recipe, and evaluates it at the end. A checkpoint is written on the way, whose copy takes memory beside
    /// a step.</summary>
    public Trial Run(Recipe recipe)
    {
        long steps = recipe.Training.Steps;
        recipe = recipe with
        {
            Evaluation = recipe.Evaluation with { Every = steps },
            Checkpoint = recipe.Checkpoint with { Every = Math.Max(1, steps / 2) },
        };
        bool onCpu = DeviceSelection.Choose(recipe.Training.Device).type == DeviceType.CPU;
        long left = onCpu ? Settled() - before : 0;
        (Watch watch, TrainingResult result) = Watched(recipe, limit: null);
        return new(
            watch.MeanWithout(0.1), watch.EvaluationSeconds, result.PeakTensorBytes + left, result.Step, result.BestLoss!.Value);
    }

    private (Watch Watch, TrainingResult Result) Watched(Recipe recipe, TimeSpan? limit)
    {
        string directory = Directory.CreateTempSubdirectory("trainer-trial-").FullName;
        try
        {
            recipe = recipe with { Monitoring = recipe.Monitoring with { LogEvery = 1, TensorBoard = false } };
            using StopSignal stop = new();
            Watch watch = new(stop, limit);
            TrainingResult result = TrainingSession.Run(
                new TrainingRequest(recipe, Path.Combine(directory, "run"), DatasetsDirectory: datasetsDirectory), _ => watch,
                new Progress<string>(), stop);
            return (watch, result);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    // Bytes of tensors, without those that nobody holds any more: they would count as there before, and be freed meanwhile.
    private static long Settled()
    {
        Differentiation.ReleaseGradients();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return CpuMemory.Current().Allocated;
    }

    private sealed class Watch(StopSignal stop, TimeSpan? limit) : IMetricsSink
    {
        private readonly List<double> seconds = [];
        private long start;

        public double MeanWithout(double firstShare) => seconds[(int)(seconds.Count * firstShare)..].Average();

        public double EvaluationSeconds { get; private set; }

        public void Step(StepMetrics metrics)
        {
            if (start == 0) start = Stopwatch.GetTimestamp();
            seconds.Add(metrics.StepSeconds);
            if (Stopwatch.GetElapsedTime(start) > limit) stop.Request();
        }

        public void Evaluation(EvaluationMetrics metrics) => EvaluationSeconds = metrics.Seconds;

        public void Dispose()
        {
        }
    }
}
