using System.Runtime.InteropServices;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Evaluation.Evaluators;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>A run from its recipe to its last checkpoint: prepares the data, builds or restores the model, trains.</summary>
public sealed class TrainingSession
{
    private readonly TrainingRequest request;
    private readonly Func<RunProgress, IMetricsSink> openSink;
    private readonly IProgress<string> progress;
    private readonly StopSignal stop;

    private TrainingSession(TrainingRequest request, Func<RunProgress, IMetricsSink> openSink, IProgress<string> progress, StopSignal stop) =>
        (this.request, this.openSink, this.progress, this.stop) = (request with { Recipe = request.Recipe.Resolve() }, openSink, progress, stop);

    /// <summary>Trains.</summary>
    /// <param name="request">What to train, and where its files go.</param>
    /// <param name="openSink">Opens what the run reports to, once it is known where it starts; disposed at the end.</param>
    /// <param name="progress">Told what happens before that: data prepared, damaged checkpoints passed over.</param>
    /// <param name="stop">Makes the run finish its step, save and end.</param>
    /// <returns>Where the run stands.</returns>
    /// <exception cref="UserException">Anything that the user has to mend: data, device, checkpoints, a full disk, divergence.</exception>
    public static TrainingResult Run(
        TrainingRequest request, Func<RunProgress, IMetricsSink> openSink, IProgress<string> progress, StopSignal stop) =>
        new TrainingSession(request, openSink, progress, stop).Run();

    private Recipe Recipe => request.Recipe;

    private TrainingResult Run()
    {
        Device device = DeviceSelection.Choose(Recipe.Training.Device);
        DeviceSelection.SetDeterministic(Recipe.Training.Deterministic, device);
        DeviceSelection.SetPrecision(Recipe.Training.Precision, device);
        try
        {
            return Run(device);
        }
        catch (ExternalException error) when (error.IsOutOfMemory)
        {
            throw DeviceMemory.TooLittle(error, Recipe.Training, device);
        }
    }

    private TrainingResult Run(Device device)
    {
        if (request.Resume) ResumePoint.RequireRun(request.RunDirectory);
        using RunDirectory run = RunDirectory.Open(request.RunDirectory, request.Resume);
        ResumePoint? from = request.Resume ? ResumePoint.Find(run.Checkpoints, Recipe, progress.Report) : null;

        using PreparedData data = DataPreparation.Prepare(Recipe.Data, Recipe.Tokenizer, request.DatasetsDirectory, progress);
        from?.RequireData(data.Fingerprint);
        MemoryFigures memory = new(device);
        using Trainee trainee = Prepare(data, device, from);
        return trainee.Step >= Recipe.Training.Steps ? AlreadyDone(trainee) : Train(run, data, trainee, memory, from);
    }

    private Trainee Prepare(PreparedData data, Device device, ResumePoint? from)
    {
        Recipe recipe = from is null ? Recipe : Recipe with { Initialize = null };
        LanguageModel model = InitialWeights.Build(recipe, data.Tokenizer, device, progress.Report);
        IDisposable owner = model;
        try
        {
            Trainee trainee = new(model, Recipe, data, device);
            owner = trainee;
            if (from is not null) trainee.Restore(from.Directory, from.State);
            return trainee;
        }
        catch
        {
            owner.Dispose();
            throw;
        }
    }

    private TrainingResult Train(RunDirectory run, PreparedData data, Trainee trainee, MemoryFigures memory, ResumePoint? from)
    {
        Samples samples = new(trainee.Model, data.Tokenizer, trainee.Device, Recipe.Monitoring.Samples, Recipe.Seed,
            EndOfText.Of(data.Tokenizer, Recipe.Data.EndOfDocument));
        ValidationSet validation = Validation(data);
        using IMetricsSink sink = openSink(new RunProgress(Recipe.Training.Steps, from?.State.Step));
        using CheckpointWriter writer = new(run.Checkpoints, Recipe, data.Tokenizer, sink.Message);
        writer.KeepBestOf(trainee);
        string json = ConfigurationJson.Serialize(Recipe);
        run.SaveConfiguration(json);
        sink.Configuration(json);
        foreach (string line in RunDescription.Of(trainee, data, validation, Recipe, from)) sink.Message(line);

        MeasureSchedule measures = new(Recipe.Evaluation.Measures, Subject(trainee, data, Recipe), sink);
        TrainingLoop loop = new(Recipe, trainee, validation, new TrainingLoop.Parts
        {
            Sink = sink,
            Save = isBest =>
            {
                sink.Flush();
                writer.Save(trainee, isBest);
            },
            Measure = measures.Take,
            FollowSaving = writer.Follow,
            FinishSaving = writer.Finish,
            WriteSamples = step => samples.Write(step, sink),
            Stop = stop,
            Utilisation = Utilisation(trainee, Recipe.Data.RowLength(Recipe.Model.ContextLength)),
        });
        DeviceMemory.ResetPeak(trainee.Device); // what was measured before it is no part of training
        TrainingOutcome outcome = loop.Run();
        if (outcome == TrainingOutcome.Completed) sink.Completed(trainee.Step);
        sink.Message(memory.Describe());
        return Result(outcome, trainee);
    }

    private ValidationSet Validation(PreparedData data)
    {
        // Computed in micro-batches: what fits into memory when training fits when validating too.
        long batches = (long)Recipe.Evaluation.Batches * (Recipe.Training.BatchSize / Recipe.Training.MicroBatch);
        return ValidationSet.Create(
            data, Recipe.Data, Recipe.Model.ContextLength, Recipe.Training.MicroBatch, (int)Math.Min(batches, int.MaxValue), Recipe.Model.PrefixLength());
    }

    internal static MeasureSubject Subject(Trainee trainee, PreparedData data, Recipe recipe) =>
        new(trainee.Model, data, recipe.Data, recipe.Training.BatchSize, recipe.Training.MicroBatch, recipe.Seed, trainee.Device);

    private static Func<double, double?> Utilisation(Trainee trainee, int rowLength)
    {
        double flopsPerToken = ModelCost.Of(trainee.Model.Options, trainee.Model.VocabularySize).TrainingFlopsPerToken(rowLength);
        double peak = PeakArithmetic.Measure(trainee.Device, trainee.Model.ComputeType);
        return tokensPerSecond =>
        {
            double speed = flopsPerToken * tokensPerSecond;
            // Faster than the probe: it was taken while others used the machine, so the peak is higher than it said.
            peak = Math.Max(peak, speed);
            return speed / peak;
        };
    }

    private TrainingResult AlreadyDone(Trainee trainee)
    {
        progress.Report(
            $"{request.RunDirectory}: all {Recipe.Training.Steps} steps are done (its checkpoint is of step {trainee.Step}); raise training.steps to go on");
        return Result(TrainingOutcome.Completed, trainee);
    }

    private static TrainingResult Result(TrainingOutcome outcome, Trainee trainee) => new(
        outcome, trainee.Step, trainee.Tokens, trainee.Best?.Loss, trainee.Best?.Step, trainee.Read().Skipped);
}
