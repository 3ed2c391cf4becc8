using System.Diagnostics;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Evaluation.Losses;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training;

/// <summary>Takes steps until all are done or a stop is wished; evaluates, reports and saves when it is time to.</summary>
/// <param name="recipe">The cadences, the schedule and the length.</param>
/// <param name="trainee">What is trained.</param>
/// <param name="validation">What it is validated on.</param>
/// <param name="parts">What the loop calls on its way.</param>
internal sealed class TrainingLoop(Recipe recipe, Trainee trainee, IReadOnlyList<Batch> validation, TrainingLoop.Parts parts)
{
    /// <summary>What a loop calls on its way.</summary>
    internal sealed record Parts
    {
        /// <summary>Told of everything.</summary>
        public required IMetricsSink Sink { get; init; }

        /// <summary>Saves a checkpoint, now or in the background; the argument says whether it is the best so far.</summary>
        public required Action<bool> Save { get; init; }

        /// <summary>Asked after every step whether a checkpoint has been written in the background, or failed to be.</summary>
        public Action FollowSaving { get; init; } = () => { };

        /// <summary>Waits for the checkpoint that is being written.</summary>
        public Action FinishSaving { get; init; } = () => { };

        /// <summary>Writes samples, at the step given.</summary>
        public Action<long> WriteSamples { get; init; } = _ => { };

        /// <summary>Takes the measures that are due: at the step given, whether it is evaluated, and whether it is the last.</summary>
        public Action<long, bool, bool> Measure { get; init; } = (_, _, _) => { };

        /// <summary>Asked after every step whether to stop.</summary>
        public required StopSignal Stop { get; init; }

        /// <summary>Model FLOP utilisation at a speed in tokens per second; <c>null</c> where the peak is not known.</summary>
        public Func<double, double?> Utilisation { get; init; } = _ => null;
    }

    private readonly Throughput throughput = new();
    // A trainee that has steps behind it was restored from the checkpoint of its last one.
    private long? saved = trainee.Step > 0 ? trainee.Step : null;

    /// <summary>Runs to the end, or until asked to stop.</summary>
    /// <returns>How the run ended; in either case the last step is saved.</returns>
    /// <exception cref="UserException">Training diverged, or a checkpoint cannot be saved.</exception>
    public TrainingOutcome Run()
    {
        throughput.StartAt(trainee.Step, trainee.Tokens);
        while (trainee.Step < recipe.Training.Steps && !parts.Stop.Requested) TakeStep();
        if (saved != trainee.Step) Save(isBest: false);
        parts.FinishSaving();
        return trainee.Step < recipe.Training.Steps ? TrainingOutcome.Interrupted : TrainingOutcome.Completed;
    }

    private void TakeStep()
    {
        throughput.Resume();
        double learningRate = recipe.Schedule.LearningRate(trainee.Step, recipe.Training.Steps, recipe.Optimizer.LearningRate);
        trainee.TakeStep(learningRate);
        Report(learningRate);
        throughput.Pause();
        parts.FollowSaving();

        bool evaluating = IsDue(recipe.Evaluation.Every) || IsLast;
        bool isBest = evaluating && Evaluate();
        parts.Measure(trainee.Step, evaluating, IsLast);
        if (evaluating) parts.WriteSamples(trainee.Step);
        if (IsDue(recipe.Monitoring.HistogramEvery)) Histograms.Write(trainee.Model, trainee.Step, parts.Sink);
        // Last, so that a run resumed from here lacks nothing that was due at this step.
        if (isBest || IsDue(recipe.Checkpoint.Every) || IsLast) Save(isBest);
    }

    private bool IsLast => trainee.Step == recipe.Training.Steps;

    private bool IsDue(long every) => every > 0 && trainee.Step % every == 0;

    private void Report(double learningRate)
    {
        bool due = IsDue(recipe.Monitoring.LogEvery) || IsLast || trainee.Step == 1;
        // On the CPU the figures are there for the asking; on a GPU asking would stall it.
        if (!due && trainee.Device.type != DeviceType.CPU) return;

        StepFigures.Reading reading = trainee.Read();
        if (due)
        {
            parts.Sink.Step(Metrics(reading, learningRate));
            foreach (ExpertReport layer in trainee.Model.Experts()) parts.Sink.Experts(layer, trainee.Step);
        }
        StopIfDiverged(reading);
    }

    private StepMetrics Metrics(StepFigures.Reading reading, double learningRate)
    {
        (double tokensPerSecond, double stepSeconds) = throughput.Lap(trainee.Step, trainee.Tokens);
        return new StepMetrics
        {
            Step = trainee.Step,
            Tokens = trainee.Tokens,
            Loss = reading.Loss,
            LearningRate = learningRate,
            GradientNorm = reading.GradientNorm,
            TokensPerSecond = tokensPerSecond,
            StepSeconds = stepSeconds,
            ModelFlopUtilisation = parts.Utilisation(tokensPerSecond),
            PeakMemoryBytes = DeviceMemory.Peak(trainee.Device),
            SkippedSteps = reading.Skipped,
        };
    }

    private void StopIfDiverged(StepFigures.Reading reading)
    {
        int limit = recipe.Training.NonFiniteLimit;
        if (limit == 0 || reading.InARow < limit) return;
        throw new UserException(
            $"training stopped at step {trainee.Step}: the last {reading.InARow} steps had a loss ({reading.Loss}) or gradient norm ({reading.GradientNorm}) that is not finite. " +
            $"The weights are those from before. Likely causes: optimizer.learningRate ({recipe.Optimizer.LearningRate}) too high, schedule.warmupSteps ({recipe.Schedule.WarmupSteps}) too few, " +
            $"or training.gradientClip ({recipe.Training.GradientClip}) off; mend one and start again, or go on from the last checkpoint with --resume");
    }

    /// <summary>Measures the validation loss; true where it is the best so far.</summary>
    private bool Evaluate()
    {
        long start = Stopwatch.GetTimestamp();
        LossSummary summary = LossMeter.Measure(trainee.Model, validation, trainee.Device);
        bool isBest = summary.MeanLoss < (trainee.Best?.Loss ?? double.PositiveInfinity);
        if (isBest) trainee.Best = (summary.MeanLoss, trainee.Step);
        parts.Sink.Evaluation(new EvaluationMetrics
        {
            Step = trainee.Step,
            ValidationLoss = summary.MeanLoss,
            BestLoss = trainee.Best?.Loss ?? summary.MeanLoss,
            BestStep = trainee.Best?.Step ?? 0,
            Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
        });
        return isBest;
    }

    private void Save(bool isBest)
    {
        parts.Save(isBest);
        saved = trainee.Step;
    }
}
