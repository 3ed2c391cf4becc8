using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Adapters;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Patches;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Optimizers;
using Trainer.Training.Preferences;
using Trainer.Training.Profiling;
using Trainer.Training.Reinforcement;
using Trainer.Training.Spikes;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Everything that training changes: weights, optimizer, position in the data, random states, counts. Restored exactly.</summary>
internal sealed class TrainState : IDisposable
{
    private readonly TrainingOptions options;
    private readonly IProcessGroup group;
    private readonly StepSource source;
    private readonly WorkerThreads? threads;
    private readonly GradientExchange? exchange;
    private readonly GradientComputation gradients;
    private readonly StepFigures figures;
    private readonly SpikeDetector? spikes;
    private readonly StepMeter meter;
    private StepInput? last;
    private IReadOnlyList<ParameterRecord> skippedGradients = [];
    private readonly string dataFingerprint;

    /// <summary>Takes over a model, on the device with its first weights, and the teacher of a recipe that has one; the data stays the
    /// caller's.</summary>
    public TrainState(
        SequenceModel model, Recipe recipe, TrainingData data, Device device, IProcessGroup? processes = null, Teacher? teacher = null,
        ReferenceModel? reference = null)
    {
        if (teacher is null != recipe.Distillation is null)
            throw new ArgumentException("A recipe with distillation needs its teacher, and no other has one.", nameof(teacher));
        if (reference is null && recipe.Preference is { HasReference: true })
            throw new ArgumentException("A recipe with preferences needs its reference.", nameof(reference));
        (Teacher, Reference) = (teacher, reference);
        (Model, Device, options, dataFingerprint) = (model, device, recipe.Training, data.Fingerprint);
        group = processes ?? new SingleProcess();
        // First: data that does not fit the model must be found before anything is made that would have to be disposed.
        BatchLoader loader = new(
            data.OpenStream(recipe.Data, model.ContextLength, recipe.Seed, model.PrefixLength),
            recipe.Reinforcement is { Group: var answers } ? options.BatchSize / answers : options.MicroBatch, recipe.Data.LoaderThreads);
        (source, Loss) = recipe.Reinforcement is null
            ? (new LoadedSteps(loader, options), recipe.Preference?.Build(reference) ?? teacher?.Loss ?? OwnLoss(model))
            : SampledSteps.Open(recipe, (LanguageModel)model, (PreparedData)data, loader, device, group);
        model.ActivationCheckpointing = options.ActivationCheckpointing;
        long parameters = model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());
        int count = GradientComputation.Threads(device.type, options, parameters, ranks: group.Size);
        threads = count > 1 ? new WorkerThreads(count) : null;
        exchange = group.Size > 1 ? new(group, model, options.ShardOptimizer ? recipe.Optimizer : null) : null;
        gradients = GradientComputation.Create(model, device, threads, Loss, exchange);
        Optimizer = recipe.Optimizer.Build(
            exchange?.Shards?.Parameters ?? [.. model.named_parameters().Where(p => p.parameter.requires_grad)], threads,
            model.ParameterLayout());
        figures = new StepFigures(device, Loss.FigureNames.Count);
        spikes = options.Spikes is { } settings ? new(settings) : null;
        meter = new(gradients, model, device, (data as PreparedData)?.Train, options.LabelSmoothing);
    }

    private LossFunction OwnLoss(SequenceModel model) => model.Options.PatchInput() switch
    {
        null => new TokenCrossEntropy(options.LabelSmoothing),
        ImagePatchOptions => new ClassCrossEntropy(options.LabelSmoothing),
        _ => new ForecastLoss(),
    };

    /// <summary>The state with which a run begins: its first weights, or what <paramref name="from"/> holds.</summary>
    /// <exception cref="OperationCanceledException">It was asked to stop while a teacher's probabilities were computed.</exception>
    public static TrainState Start(
        Recipe recipe, TrainingData data, Device device, ResumePoint? from, Ranks ranks, CancellationToken stop = default)
    {
        PreparedData? text = data as PreparedData; // only texts have a teacher or preferences
        Teacher? teacher = text is null ? null : Teacher.Open(recipe, text, device, ranks, from, stop);
        ReferenceModel? reference = null;
        IDisposable? owner = null;
        try
        {
            if (text is not null)
            {
                recipe.Preference?.RequirePairs(text);
                reference = ReferenceModel.Open(recipe, text, device, from, ranks);
            }
            (SequenceModel model, AdapterBase? original) = InitialWeights.Build(recipe, ModelCodec.Of(data), device, from, ranks.Report);
            owner = model;
            TrainState state = new(model, recipe, data, device, ranks.Group, teacher, reference) { Base = original };
            owner = state;
            if (from is not null) state.Restore(from.Directory, from.State);
            return state;
        }
        catch
        {
            owner?.Dispose();
            teacher?.Dispose();
            reference?.Dispose();
            throw;
        }
    }

    public SequenceModel Model { get; }

    /// <summary>What the model's adapters go on; null where it has none.</summary>
    public AdapterBase? Base { get; private init; }

    /// <summary>What the model learns from besides the text; null for nothing.</summary>
    public Teacher? Teacher { get; }

    /// <summary>What preferences are compared with; null for nothing.</summary>
    public ReferenceModel? Reference { get; }

    /// <summary>A line for the log on what steps are made of; null where that is the data alone.</summary>
    public string? SourceDescription => source.Description;

    public Device Device { get; }

    /// <summary>What is minimised.</summary>
    public LossFunction Loss { get; }

    public Optimizer Optimizer { get; }

    public IProcessGroup Processes => group;

    public string Sharing => gradients.Description;

    public long Step { get; private set; }

    public long Tokens { get; private set; }

    public (double Loss, long Step)? Best { get; set; }

    public StreamPosition Position => source.Position;

    /// <summary>Why the last step was a spike; null where it was none.</summary>
    public Spike? Spike { get; private set; }

    /// <summary>Spikes so far; null where nothing looks for them.</summary>
    public long? SkippedSpikes => spikes?.Skipped;

    /// <summary>The time for which this rank waited for the sums of others; zero for a single process.</summary>
    public TimeSpan Waited => exchange?.Waited ?? TimeSpan.Zero;

    /// <summary>Times the next step; null for none.</summary>
    public StepProfiler? Profiler
    {
        get => gradients.Profiler;
        set => gradients.Profiler = value;
    }

    /// <summary>A profiler of a range of steps, for <see cref="Profiler"/>.</summary>
    public StepProfiler NewProfiler(ProfileRange range) => new(range, Device, threads?.Count ?? 0);

    /// <summary>Takes one optimizer step. One whose loss or gradients are not finite, or a spike, counts, but changes nothing.</summary>
    public void TakeStep(double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        using (Profiler?.Main.Measure(ProfilePart.Data)) last = NextInput(measured: spikes is not null);
        StepLoss computed = gradients.Compute(last.Batch, last.Dropout);
        using IDisposable? time = Profiler?.Main.Measure(ProfilePart.Optimizer);
        Tensor skip = figures.Record(computed);
        // Waits for a GPU: only what is known at once can be looked at again with the same weights.
        StepFigures.Reading? reading = KnowsSkips ? Read() : null;
        Spike = reading is null ? null : spikes?.Judge(reading.Loss, reading.GradientNorm);
        if (Spike is not null) skip = ones_like(skip);
        // Clipping to a norm that is not finite makes every gradient so.
        skippedGradients = Spike is not null || reading?.InARow > 0 ? ParameterGradients.Measure(Model, exchange) : [];
        Optimizer.ClipAndStep(computed.Norm, options.GradientClip, learningRate, skip);
        exchange?.Shards?.Spread();
        Model.EndStep(skip, group.Size > 1 ? counts => group.Sum(counts).CopyTo(counts, 0) : null);
        Step++;
        Tokens += last.Batch.TargetTokens;
    }

    private StepInput NextInput(bool measured)
    {
        StepBatch batch = source.Next(Step);
        IReadOnlyList<DropoutKey?> dropout = gradients.DrawDropoutKeys(batch);
        // A GPU draws what it drops from its generator.
        bool draws = measured && Model.Drops && Device.type == DeviceType.CUDA;
        return new(batch, dropout, draws ? RandomStates.Capture(Device) : null);
    }

    /// <summary>The figures of the last step; waits for the device.</summary>
    public StepFigures.Reading Read() => figures.Read();

    /// <summary>Whether the host knows of a skipped step before the next one, and can look at it again.</summary>
    public bool KnowsSkips => spikes is not null || Device.type == DeviceType.CPU;

    /// <summary>Runs the last step again, which was skipped, so that the weights are those from before, and measures. On all ranks.</summary>
    public StepMeasurement MeasureLastStep() =>
        Measure(last ?? throw new InvalidOperationException("No step was taken.")) with { Parameters = skippedGradients };

    /// <summary>Computes the next step and measures it, but does not take it: no step can follow.</summary>
    public (StepFigures.Reading Reading, Spike? Spike, StepMeasurement Measured) ExamineNextStep()
    {
        using DisposeScope scope = NewDisposeScope();
        StepInput input = NextInput(measured: true);
        figures.Record(gradients.Compute(input.Batch, input.Dropout));
        StepFigures.Reading reading = Read();
        IReadOnlyList<ParameterRecord> parameters = ParameterGradients.Measure(Model, exchange);
        return (reading, spikes?.Judge(reading.Loss, reading.GradientNorm), Measure(input) with { Parameters = parameters });
    }

    private StepMeasurement Measure(StepInput input)
    {
        RandomStates? now = input.Random is null ? null : RandomStates.Capture(Device);
        input.Random?.Restore(Device);
        StepMeasurement measured = meter.Measure(input.Batch, input.Dropout).Gather(group);
        now?.Restore(Device);
        return measured;
    }

    /// <summary>As <see cref="Optimizer.UseAverages"/>, on all ranks.</summary>
    public IDisposable? UseAverages()
    {
        IDisposable? averages = Optimizer.UseAverages();
        return averages is not null && exchange?.Shards is { } shards ? new SpreadAverages(averages, shards) : averages;
    }

    /// <summary>What a checkpoint is made of; all ranks call it, and what they share out is collected by the first.</summary>
    public CheckpointTensors Tensors() => exchange?.Shards is { } shards
        ? CheckpointTensors.Of(Model, shards.Collect(Optimizer))
        : CheckpointTensors.Of(Model, Optimizer);

    /// <summary>What checkpoints hold besides weights, optimizer and counts, as it is now.</summary>
    public IReadOnlyList<PendingFile> Files() => source.Files();

    /// <summary>Where training stands, apart from weights and optimizer.</summary>
    public CheckpointState Capture()
    {
        StepFigures.Reading reading = Read();
        return new CheckpointState
        {
            Step = Step,
            Tokens = Tokens,
            Position = source.Position,
            DataFingerprint = dataFingerprint,
            Random = RandomStates.Capture(Device),
            BestLoss = Best?.Loss,
            BestStep = Best?.Step,
            SkippedSteps = reading.Skipped,
            SkippedInARow = reading.InARow,
            Spikes = spikes?.Capture(),
        };
    }

    public void Restore(string directory, CheckpointState state)
    {
        ModelWeights.Load(Model, Path.Combine(directory, CheckpointFiles.Model));
        string optimizer = Path.Combine(directory, CheckpointFiles.Optimizer);
        if (exchange?.Shards is { } shards) shards.Load(optimizer, Optimizer);
        else Optimizer.Load(optimizer);
        (Step, Tokens) = (state.Step, state.Tokens);
        source.Restore(directory, state.Position);
        Best = state.BestLoss is { } loss && state.BestStep is { } step ? (loss, step) : null;
        figures.Restore(state.SkippedSteps, state.SkippedInARow);
        spikes?.Restore(state.Spikes);
        state.Random.Restore(Device);
    }

    public void Dispose()
    {
        source.Dispose();
        threads?.Dispose();
        figures.Dispose();
        Optimizer.Dispose();
        exchange?.Shards?.Dispose();
        Loss.Dispose();
        Model.Dispose();
        Teacher?.Dispose();
    }
}
