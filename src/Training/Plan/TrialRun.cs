using System.Diagnostics;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training.Plan;

/// <summary>What a short run came to.</summary>
/// <param name="StepSeconds">Of a step: the mean of the second half, when all code is compiled.</param>
/// <param name="EvaluationSeconds">Of the evaluation after the last step.</param>
/// <param name="PeakBytes">The most that tensors took.</param>
/// <param name="Steps">Of the run.</param>
/// <param name="Loss">Of that evaluation, in nats a token.</param>
internal sealed record Trial(double StepSeconds, double EvaluationSeconds, long? PeakBytes, long Steps, double Loss);

/// <summary>Runs in a folder of their own, which is removed.</summary>
internal static class TrialRun
{
    /// <summary>Seconds of a step, from training until <paramref name="limit"/> has passed.</summary>
    public static double StepSeconds(Recipe recipe, string datasetsDirectory, TimeSpan limit) =>
        Watched(recipe with { Evaluation = recipe.Evaluation with { Every = 0 } }, datasetsDirectory, limit).Watch.StepSeconds;

    /// <summary>Trains all steps of a recipe, and evaluates it at the end.</summary>
    public static Trial Run(Recipe recipe, string datasetsDirectory)
    {
        long steps = recipe.Training.Steps;
        (Watch watch, TrainingResult result) = Watched(
            recipe with { Evaluation = recipe.Evaluation with { Every = steps } }, datasetsDirectory, limit: null);
        return new(
            watch.StepSeconds, watch.EvaluationSeconds, result.PeakTensorBytes, result.Step, result.BestLoss!.Value);
    }

    private static (Watch Watch, TrainingResult Result) Watched(Recipe recipe, string datasetsDirectory, TimeSpan? limit)
    {
        string directory = Directory.CreateTempSubdirectory("trainer-trial-").FullName;
        try
        {
            recipe = recipe with
            {
                Checkpoint = recipe.Checkpoint with { Every = 0 },
                Monitoring = recipe.Monitoring with { LogEvery = 1, TensorBoard = false },
            };
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

    private sealed class Watch(StopSignal stop, TimeSpan? limit) : IMetricsSink
    {
        private readonly List<double> seconds = [];
        private long start;

        public double StepSeconds => seconds[(seconds.Count / 2)..].Average();

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
