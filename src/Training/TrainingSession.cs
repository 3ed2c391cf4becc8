using System.Runtime.InteropServices;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Evaluation.Scheduled;
using Trainer.Kernels;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Distribution;
using Trainer.Training.Profiling;
using Trainer.Training.Spikes;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>A run from its recipe to its last checkpoint: prepares the data, builds or restores the model, trains.</summary>
public sealed class TrainingSession
{
    private readonly TrainingRequest request;
    private readonly Func<RunProgress, IMetricsSink> openSink;
    private readonly IProgress<string> progress;
    private Ranks ranks;
    private readonly StopSignal stop;

    private TrainingSession(
        TrainingRequest request, Func<RunProgress, IMetricsSink> openSink, IProgress<string> progress, StopSignal stop)
    {
        this.request = request with { Recipe = request.Recipe.Resolve() };
        ranks = new(request.Processes ?? new SingleProcess(), progress);
        (this.openSink, this.progress, this.stop) = (openSink, progress, stop);
    }

    /// <summary>Trains. <paramref name="openSink"/> opens what the run reports to, once its first step is known, and it is disposed at the
    /// end; messages before that go to <paramref name="progress"/>.</summary>
    /// <exception cref="UserException">Anything the user has to fix: data, device, checkpoints, a full disk, divergence.</exception>
    public static TrainingResult Run(
        TrainingRequest request, Func<RunProgress, IMetricsSink> openSink, IProgress<string> progress, StopSignal stop) =>
        new TrainingSession(request, openSink, progress, stop).Run();

    /// <summary>Trains with a recipe that was made in code, and prints nothing. A run that was cancelled is saved, and can be resumed.</summary>
    /// <param name="request">What to train, and where; its recipe is checked as a file's is.</param>
    /// <param name="sink">Gets figures and messages besides the files of the run, and is disposed of at its end; null for the files
    /// alone.</param>
    /// <param name="cancellation">Ends the run after its step, with a checkpoint.</param>
    /// <exception cref="ConfigurationException">The recipe has mistakes; all are named.</exception>
    /// <exception cref="UserException">Anything else the user has to fix: data, device, checkpoints, a full disk, divergence.</exception>
    public static TrainingResult Run(TrainingRequest request, IMetricsSink? sink = null, CancellationToken cancellation = default)
    {
        Recipe recipe = ConfigurationJson.Deserialize<Recipe>(ConfigurationJson.Serialize(request.Recipe), "recipe");
        using StopSignal stop = new();
        using CancellationTokenRegistration registration = cancellation.Register(stop.Request);
        return Run(
            request with { Recipe = recipe }, run => RunMonitor.Open(recipe.Monitoring, run, request.RunDirectory, sink),
            new Messages(sink), stop);
    }

    private Recipe Recipe => request.Recipe;

    private TrainingResult Run()
    {
        Problem[] problems = [.. RankSetup.Validate(Recipe, Group.Size), .. UntilProblems()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        (ranks, Device device) = RankSetup.Begin(Recipe, Group, progress);
        try
        {
            return Run(device);
        }
        catch (ExternalException error) when (error.IsOutOfMemory)
        {
            throw DeviceMemory.OutOfMemory(error, Recipe.Training, device);
        }
    }

    private IProcessGroup Group => ranks.Group;

    /// <summary>The step after which this session ends, which may be before the run does.</summary>
    private long LastStep => request.Until ?? Recipe.Training.Steps;

    private IEnumerable<Problem> UntilProblems()
    {
        if (request.Until is { } until && (until < 1 || until > Recipe.Training.Steps))
            yield return new("until", $"a run of {Recipe.Training.Steps} steps cannot end after step {until}; give a step from 1 to " +
                "training.steps");
    }

    private TrainingResult Run(Device device)
    {
        if (request.Resume) ResumePoint.RequireRun(request.RunDirectory);
        using RunDirectory? run = ranks.IsFirst ? RunDirectory.Open(request.RunDirectory, request.Resume) : null;
        ResumePoint? from = request.Resume
            ? ResumePoint.FromFirst(ranks, () => ResumePoint.Find(run!.Checkpoints, Recipe, ranks.Report))
            : null;
        // A run that is done is not measured again, and keeps its best.
        if (from is { State.Step: var step } && step < LastStep) from = from.ToGoOnWith(Recipe, ranks.Report);
        using TrainingData data = RankSetup.Prepare(Recipe, request.DatasetsDirectory, ranks);
        from?.RequireData(data.Fingerprint);
        MemoryUse memory = new(device);
        using TrainState? state = Start(data, device, from);
        if (state is null) return Interrupted(from?.State);
        return state.Step >= LastStep ? AlreadyDone(state) : Train(run, data, state, memory, from);
    }

    /// <summary>Null where it was asked to stop before there was a state.</summary>
    private TrainState? Start(TrainingData data, Device device, ResumePoint? from)
    {
        try
        {
            return TrainState.Start(Recipe, data, device, from, ranks, stop.Token);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private TrainingResult Interrupted(CheckpointState? from)
    {
        ranks.Report("interrupted while the teacher's probabilities were computed: files that are whole are kept, and the others are " +
            "computed when the run goes on");
        return from is null
            ? new(TrainingOutcome.Interrupted, 0, 0, null, null, 0)
            : new(TrainingOutcome.Interrupted, from.Step, from.Tokens, from.BestLoss, from.BestStep, from.SkippedSteps);
    }

    private RunProgress Progress(ResumePoint? from) =>
        new(Recipe.Training.Steps, from?.State.Step) { Unit = RunDescription.Unit(Recipe.Model) };

    private TrainingResult Train(RunDirectory? run, TrainingData data, TrainState state, MemoryUse memory, ResumePoint? from)
    {
        Problem[] problems = [.. request.Profile?.ValidateFor(state.Step, LastStep) ?? []];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        SampleWriter? samples = data is PreparedData text ? new(state, text.Tokenizer, Recipe) : null;
        ValidationSet validation = Validation(Recipe, data);
        EvaluatorSchedule evaluators = new(Recipe.Evaluation.Measures, Subject(state, data, Recipe));
        // What is wrong has been said by now: from here on the run is changed.
        using IMetricsSink sink = ranks.IsFirst ? openSink(Progress(from)) : new Silence();
        using CheckpointWriter? checkpoints = run is null ? null : Checkpoints(run, data, sink, from, state);
        checkpoints?.RestoreBest(state);
        string json = ConfigurationJson.Serialize(Recipe);
        run?.SaveConfiguration(json);
        run?.SaveCodec(ModelCodec.Of(data));
        sink.Configuration(json);
        ranks.TellOthers();
        foreach (string line in RunDescription.Of(state, data, validation, Recipe, from)) sink.Message(line);

        SkipRecorder recorder = new(state, DocumentsOf(Recipe, data, request.DatasetsDirectory), run?.SkippedSteps, sink.Message);
        ProfileWriter? profile = run is null || request.Profile is not { } range
            ? null
            : new(state.NewProfiler(range), run.Profile, sink.Message);
        FlopUtilisation utilisation = FlopUtilisation.Of(state, Group.Size);
        TrainingLoop loop = new(Recipe, state, validation, evaluators, samples, checkpoints, utilisation, sink, stop, ranks, LastStep,
            recorder, profile);
        DeviceMemory.ResetPeak(state.Device); // what came before is no part of training
        TrainingOutcome outcome = loop.Run();
        if (outcome == TrainingOutcome.Completed) sink.Completed(state.Step);
        sink.Message(memory.Describe());
        if (Group.Size > 1) sink.Message(ranks.DescribeWaits(state.Waited, loop.Trained));
        return Result(outcome, state) with { PeakTensorBytes = memory.PeakTensors };
    }

    // Pictures and windows of time series have no documents.
    internal static DocumentLocator? DocumentsOf(Recipe recipe, TrainingData data, string datasets) =>
        data is PreparedData text ? new(text, recipe.Data, recipe.Tokenizer, datasets) : null;

    private CheckpointWriter Checkpoints(RunDirectory run, TrainingData data, IMetricsSink sink, ResumePoint? from, TrainState state)
    {
        // The tokenizer is the same, so the chat template of a model that was imported still fits, unless conversations have another.
        string? source = from?.Directory ?? Recipe.Initialize?.From;
        IReadOnlyList<PendingFile> companions = source is null ? [] : CheckpointFiles.Companions(source);
        companions = ChatTemplateFile.Among(companions, Recipe.Data);
        if (state.Base is { } original) companions = [.. companions, original.ToFile()];
        if (state.Teacher is { } teacher) companions = [.. companions, teacher.ToFile()];
        if (state.Reference is { } reference) companions = [.. companions, reference.ToFile()];
        return new(run.Checkpoints, Recipe, ModelCodec.Of(data), companions, sink.Message);
    }

    // In micro-batches, which do not choose the rows: what fits into memory when training fits when validating too.
    internal static ValidationSet Validation(Recipe recipe, TrainingData data) => data.OpenValidation(
        recipe.Data, recipe.Model.ContextLength, recipe.Training.BatchSize, recipe.Evaluation.Batches, recipe.Model.PrefixLength())
        .InBatchesOf(recipe.Training.MicroBatch);

    internal static EvaluationSubject Subject(TrainState state, TrainingData data, Recipe recipe) =>
        new(state.Model, data, recipe.Data, recipe.Training.BatchSize, recipe.Training.MicroBatch, recipe.Seed, state.Device)
        {
            Processes = state.Processes,
        };

    private TrainingResult AlreadyDone(TrainState state)
    {
        bool completed = state.Step >= Recipe.Training.Steps;
        ranks.Report(completed
            ? $"{request.RunDirectory}: all {Recipe.Training.Steps} steps are done (its checkpoint is of step {state.Step}); raise " +
              "training.steps to go on"
            : $"{request.RunDirectory}: it was to end after step {LastStep}, and its checkpoint is of step {state.Step} already");
        return Result(completed ? TrainingOutcome.Completed : TrainingOutcome.Paused, state);
    }

    private sealed class Messages(IMetricsSink? sink) : IProgress<string>
    {
        public void Report(string value) => sink?.Message(value);
    }

    private sealed class Silence : IMetricsSink
    {
        public void Dispose()
        {
        }
    }

    private static TrainingResult Result(TrainingOutcome outcome, TrainState state) => new(
        outcome, state.Step, state.Tokens, state.Best?.Loss, state.Best?.Step, state.Read().Skipped)
    {
        Unit = RunDescription.Unit(state.Model.Options),
    };
}
