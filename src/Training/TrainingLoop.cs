using System.Diagnostics;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Evaluation.Scheduled;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Profiling;
using Trainer.Training.Spikes;
using static TorchSharp.torch;

namespace Trainer.Training;

internal sealed class TrainingLoop(
    Recipe recipe, TrainState state, IReadOnlyList<Batch> validation, EvaluatorSchedule evaluators, SampleWriter? samples,
    CheckpointWriter? checkpoints, FlopUtilisation utilisation, IMetricsSink sink, StopSignal stop, Ranks ranks, long lastStep,
    SkipRecorder? recorder = null, ProfileWriter? profile = null)
{
    private readonly Throughput throughput = new();
    // A state with steps behind it was restored from the checkpoint of its last one.
    private long? saved = state.Step > 0 ? state.Step : null;
    private bool stopping;

    /// <summary>The time of training steps alone.</summary>
    public TimeSpan Trained => throughput.Total;

    /// <summary>Runs to <c>lastStep</c>, or until asked to stop, and saves the last step; throws where training diverges or saving fails.</summary>
    public TrainingOutcome Run()
    {
        throughput.StartAt(state.Step, state.Tokens);
        stopping = ranks.Any(() => stop.Requested)();
        while (state.Step < lastStep && !stopping) TakeStep();
        if (saved != state.Step) Save(isBest: false);
        profile?.Finish();
        checkpoints?.Finish();
        ranks.WaitForAll();
        return state.Step == recipe.Training.Steps ? TrainingOutcome.Completed
            : state.Step == lastStep ? TrainingOutcome.Paused
            : TrainingOutcome.Interrupted;
    }

    private void TakeStep()
    {
        throughput.Resume();
        StepProfiler? profiler = state.Profiler = profile?.Begin(state.Step + 1);
        double learningRate = recipe.LearningRateAfter(state.Step);
        Func<bool> stops = ranks.Any(() => stop.Requested); // answered while the step is computed
        state.TakeStep(learningRate);
        Report(learningRate);
        throughput.Pause();
        checkpoints?.ReportFinished();

        bool evaluating = IsDue(recipe.Evaluation.Every) || IsLast;
        bool isBest = (evaluating || evaluators.AreDue(state.Step, evaluating, IsLast)) && Evaluate(evaluating);
        if (IsDue(recipe.Monitoring.HistogramEvery)) ReportHistograms();
        // Last, so that a run resumed from here lacks nothing that was due at this step.
        if (isBest || IsDue(recipe.Checkpoint.Every) || IsLast) Save(isBest);
        stopping = stops();
        if (profiler is not null) profile!.End(state.Step);
    }

    // Of the last step.
    private int RowLength => TrainingStages.At(recipe.Training, state.Step - 1).SequenceLength
        ?? recipe.Data.RowLength(recipe.Model.ContextLength);

    private bool IsLast => state.Step == recipe.Training.Steps;

    private bool IsDue(long every) => every > 0 && state.Step % every == 0;

    private void Report(double learningRate)
    {
        using IDisposable? time = state.Profiler?.Main.Measure(ProfilePart.Logging);
        bool due = IsDue(recipe.Monitoring.LogEvery) || IsLast || state.Step == 1;
        if (state.Spike is { } spike) sink.Message($"step {state.Step} is skipped: {spike}");
        // On the CPU the figures are there for the asking; on a GPU asking would stall it.
        if (!due && !state.KnowsSkips) return;

        StepFigures.Reading reading = state.Read();
        if (due)
        {
            sink.Step(Metrics(reading, learningRate));
            ReportFigures("training", state.Loss.FigureNames, reading.Further);
            foreach (ExpertReport layer in state.Model.Experts()) sink.Experts(layer, state.Step);
        }
        if (state.KnowsSkips && (state.Spike is not null || reading.InARow > 0))
        {
            recorder?.Record(reading, state.Spike);
            ranks.WaitForAll(); // the first reads the sources again, for the documents
        }
        StopIfDiverged(reading);
    }

    private StepMetrics Metrics(StepFigures.Reading reading, double learningRate)
    {
        (double tokensPerSecond, double stepSeconds) = throughput.Lap(state.Step, state.Tokens);
        return new StepMetrics
        {
            Step = state.Step,
            Tokens = state.Tokens,
            Loss = reading.Loss,
            LearningRate = learningRate,
            GradientNorm = reading.GradientNorm,
            TokensPerSecond = tokensPerSecond,
            StepSeconds = stepSeconds,
            ModelFlopUtilisation = utilisation.At(tokensPerSecond, RowLength),
            PeakMemoryBytes = DeviceMemory.Peak(state.Device),
            SkippedSteps = reading.Skipped,
            SpikeSteps = state.SkippedSpikes,
        };
    }

    private void StopIfDiverged(StepFigures.Reading reading)
    {
        int limit = recipe.Training.NonFiniteLimit;
        if (limit == 0 || reading.InARow < limit) return;
        throw new UserException(
            $"training stopped at step {state.Step}: the last {reading.InARow} steps had a loss ({reading.Loss}) or gradient norm " +
            $"({reading.GradientNorm}) that is not finite. The weights are those from before. Likely causes: " +
            $"optimizer.learningRate ({recipe.Optimizer.LearningRate}) too high, schedule.warmupSteps ({recipe.Schedule.WarmupSteps}) " +
            $"too few, or training.gradientClip ({recipe.Training.GradientClip}) off; mend one and start again, or go on from the last " +
            "checkpoint with --resume");
    }

    /// <summary>Runs what is due with the weights that a checkpoint would hold; true where the validation loss is the best so far.</summary>
    private bool Evaluate(bool evaluating)
    {
        using IDisposable? time = state.Profiler?.Main.Measure(ProfilePart.Evaluation);
        using IDisposable? averages = state.UseAverages();
        bool isBest = evaluating && EvaluateLoss();
        evaluators.RunDue(state.Step, evaluating, IsLast, sink);
        if (evaluating) samples?.Write(state.Step, sink);
        return isBest;
    }

    private bool EvaluateLoss()
    {
        long start = Stopwatch.GetTimestamp();
        ranks.RequireSameWeights(state.Model, state.Step);
        LossMeans means = state.Loss.Validate(state.Model, validation, state.Device, ranks.Group);
        bool isBest = means.Loss < (state.Best?.Loss ?? double.PositiveInfinity);
        if (isBest) state.Best = (means.Loss, state.Step);
        sink.Evaluation(new EvaluationMetrics
        {
            Step = state.Step,
            ValidationLoss = means.Loss,
            HasPerplexity = state.Loss.HasPerplexity,
            BestLoss = state.Best?.Loss ?? means.Loss,
            BestStep = state.Best?.Step ?? 0,
            Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
        });
        ReportFigures("validation", state.Loss.ValidationFigureNames, means.Figures);
        return isBest;
    }

    private void ReportFigures(string name, IReadOnlyList<string> names, IReadOnlyList<double> values)
    {
        if (values.Count == 0) return;
        EvaluatorFigure[] figures = [.. names.Zip(values, (figure, value) => new EvaluatorFigure(figure, value))];
        string line = string.Join("  ", figures.Select(figure => FormattableString.Invariant($"{figure.Name} {figure.Value:F3}")));
        sink.Evaluated(new EvaluatorMetrics { Step = state.Step, Name = name, Figures = figures, Lines = [line], Seconds = 0 });
    }

    /// <summary>Histograms of every weight and its gradient, clipped, of the last step.</summary>
    private void ReportHistograms()
    {
        using IDisposable? time = state.Profiler?.Main.Measure(ProfilePart.Logging);
        foreach ((string name, Parameter parameter) in state.Model.named_parameters())
        {
            if (parameter.dtype == ScalarType.Int8) continue; // blocks of 8 bits, scales among them
            using DisposeScope scope = NewDisposeScope();
            sink.Histogram($"weights/{name}", Histogram(parameter), state.Step);
            if (parameter.grad is { } gradient) sink.Histogram($"gradients/{name}", Histogram(gradient), state.Step);
        }
    }

    private static HistogramSummary Histogram(Tensor values) =>
        HistogramSummary.FromValues(values.detach().to(ScalarType.Float32).cpu().contiguous().Span<float>());

    private void Save(bool isBest)
    {
        using IDisposable? time = state.Profiler?.Main.Measure(ProfilePart.Checkpoint);
        sink.Flush();
        ranks.RequireSameWeights(state.Model, state.Step);
        using IDisposable? averages = state.UseAverages();
        CheckpointTensors tensors = state.Tensors();
        if (checkpoints is null) tensors.Dispose();
        else checkpoints.Save(state, tensors, isBest);
        ranks.WaitForAll();
        saved = state.Step;
    }
}
