using System.Diagnostics;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training.Plan;

/// <summary>What a short run measured.</summary>
internal sealed record Trial(double StepSeconds, double EvaluationSeconds);

/// <summary>Runs in a folder of their own, which is removed.</summary>
internal static class TrialRun
{
    private const int EvaluatedStep = 10;

    /// <summary>Trains until its steps are done or <paramref name="limit"/> has passed, and evaluates every few steps; the time of a step
    /// is the mean of the second half, when all code is compiled.</summary>
    public static Trial Run(Recipe recipe, string datasetsDirectory, TimeSpan limit)
    {
        string directory = Directory.CreateTempSubdirectory("trainer-trial-").FullName;
        try
        {
            recipe = recipe with
            {
                Evaluation = recipe.Evaluation with { Every = EvaluatedStep },
                Checkpoint = recipe.Checkpoint with { Every = 0 },
                Monitoring = recipe.Monitoring with { LogEvery = 1, TensorBoard = false },
            };
            using StopSignal stop = new();
            Watch watch = new(stop, limit);
            TrainingSession.Run(
                new TrainingRequest(recipe, Path.Combine(directory, "run"), DatasetsDirectory: datasetsDirectory), _ => watch,
                new Progress<string>(), stop);
            return new(watch.StepSeconds, watch.EvaluationSeconds);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private sealed class Watch(StopSignal stop, TimeSpan limit) : IMetricsSink
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
