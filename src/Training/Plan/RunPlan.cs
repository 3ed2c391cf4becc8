using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Devices;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>What a run will cost: counted from its recipe and its prepared data, activations measured on parts of the model.</summary>
public sealed record RunPlan
{
    private const int BatchesLookedAt = 32;

    /// <summary>Learned numbers.</summary>
    public required long Parameters { get; init; }

    /// <summary>Those that are trained: all but the weights that adapters go on.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>Those that a token uses: all but the experts it is not routed to.</summary>
    public required long ActiveParameters { get; init; }

    /// <summary>Learned numbers by component, which add up to <see cref="Parameters"/>.</summary>
    public required IReadOnlyList<ComponentParameters> Components { get; init; }

    /// <summary>A summary of the data.</summary>
    public required DataReport Data { get; init; }

    /// <summary>Number of different tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Positions of the model's context.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Tokens of a training sequence: the context, unless positions skip.</summary>
    public required int RowLength { get; init; }

    /// <summary>Sequences computed at once.</summary>
    public required int MicroBatchSize { get; init; }

    /// <summary>Optimizer steps.</summary>
    public required long Steps { get; init; }

    /// <summary>Tokens that the run sees, without padding; where rows differ in length, by their average.</summary>
    public required long Tokens { get; init; }

    /// <summary>Tokens in the training data.</summary>
    public required long TrainingTokens { get; init; }

    /// <summary>Floating-point operations of a token, forward, in a training sequence.</summary>
    public required double ForwardFlopsPerToken { get; init; }

    /// <summary>Floating-point operations of a token, forward and backward.</summary>
    public required double TrainingFlopsPerToken { get; init; }

    /// <summary>Bytes of cache per token when decoding.</summary>
    public required long CacheBytesPerToken { get; init; }

    /// <summary>Bytes of recurrent state per sequence when decoding, whatever its length.</summary>
    public required long RecurrentStateBytes { get; init; }

    /// <summary>What other attention variants would cost, and the rule that speaks for one.</summary>
    public required PlanAdvice Advice { get; init; }

    /// <summary>Bytes of weights, gradients and the optimizer's moments.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Peak bytes of activations of a micro-batch, measured on the CPU with a block of each kind and scaled; null where the system
    /// does not count what tensors take, as glibc does.</summary>
    public required long? ActivationBytes { get; init; }

    /// <summary>The longest row measured, where whole rows would have taken too long and figures are extrapolated; else null.</summary>
    public required int? MeasuredLength { get; init; }

    /// <summary>Whether the run is for a GPU, whose kernels keep other tensors than those measured on the CPU.</summary>
    public required bool ForGpu { get; init; }

    /// <summary>Bytes of the copy that checkpoints are written from in the background; 0 where training waits for them.</summary>
    public required long CheckpointCopyBytes { get; init; }

    /// <summary>Peak bytes of all tensors, without the program and its libraries; null like <see cref="ActivationBytes"/>. Less than the
    /// sum of its parts, since gradients come as activations go. <see cref="CheckpointCopyBytes"/> is included, though it counts only where
    /// a checkpoint is still being written at the next step's peak.</summary>
    public required long? PeakBytes { get; init; }

    /// <summary>Bytes of a full decoding cache.</summary>
    public required long CacheBytesAtContext { get; init; }

    /// <summary>What a teacher adds, which the peak includes; null without one.</summary>
    public TeacherCost? Teacher { get; init; }

    /// <summary>What answers and rewards add; null where the recipe has no reinforcement.</summary>
    public ReinforcementCost? Reinforcement { get; init; }

    /// <summary>What several processes exchange; null for one.</summary>
    public RanksPlan? Processes { get; init; }

    /// <summary>How often the run sees its data.</summary>
    public double Epochs => (double)Tokens / TrainingTokens / (Reinforcement?.RowsPerPrompt ?? 1);

    /// <summary>Tokens seen per learned number; about 20 is compute-optimal (Hoffmann et al. 2022, arXiv 2203.15556).</summary>
    public double TokensPerParameter => (double)Tokens / Parameters;

    /// <summary>Floating-point operations of the whole run without evaluation.</summary>
    public required double TotalFlops { get; init; }

    /// <summary>Plans a run; prepares its data in <paramref name="datasetsDirectory"/> first, since vocabulary and number of tokens come
    /// from it.</summary>
    /// <remarks>Figures of memory are those of one process, which has its share of the rows and, if it is the only one on its machine, all
    /// processors.</remarks>
    /// <exception cref="Configuration.UserException">The data cannot be prepared.</exception>
    /// <exception cref="ConfigurationException">The recipe cannot be trained by so many processes.</exception>
    public static RunPlan Of(
        Recipe recipe, string datasetsDirectory, IProgress<string>? progress = null, int ranks = 1, double? stepSeconds = null,
        Link? link = null)
    {
        recipe = recipe.Resolve();
        Problem[] problems = [.. RankSetup.Validate(recipe, ranks)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        using var data = DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, datasetsDirectory, progress);
        var cost = ModelCost.Of(recipe.Model, data.Tokenizer.VocabularySize);
        var adapter = recipe.Adapter is { } options ? AdapterCost.Of(recipe.Model, data.Tokenizer.VocabularySize, options) : null;
        var trained = adapter is null ? Counts(cost) : Counts(adapter);
        var context = recipe.Model.ContextLength;
        var row = recipe.Data.RowLength(context);
        var microBatch = recipe.Training.MicroBatch;
        var tokensPerRow = BatchStream.TokensPerRow(data, recipe.Data, context, recipe.Seed);
        var (shape, onGpu) = Shape(recipe, adapter, trained, ranks);
        var shared = SharedState.Of(recipe, trained, data.Tokenizer.VocabularySize, ranks);
        shape = shape with { MomentsPerParameter = shared.Numbers / trained.All };
        var rows = (microBatch + ranks * shape.Threads - 1) / (ranks * shape.Threads);
        var teacher = TeacherCost.Of(recipe, data, shape, (long)rows * row, row);
        var answers = ReinforcementCost.Of(recipe, data.Tokenizer, shape, onGpu, (long)rows * row, row);
        // Kto reads its batches by both models first.
        var reference = recipe.Preference is { KeepsReference: true } preference
            ? ModelCost.Of(FrozenModel.Find(
                preference.ReferenceModel is null ? "initialize.from" : "preference.reference",
                preference.ReferenceModel ?? recipe.Initialize!.From, recipe, data.Tokenizer).Model, data.Tokenizer.VocabularySize)
            : null;
        double TrainingFlops(int length) => (teacher?.FlopsPerToken ?? 0) + (answers?.FlopsPerToken ?? 0)
            + (reference is null ? 0 : cost.ForwardFlopsPerToken(length) + reference.ForwardFlopsPerToken(length)) + (adapter is null
            ? cost.TrainingFlopsPerToken(length)
            : cost.TrainingFlopsPerToken(length, adapter, recipe.Model.TieEmbeddings));
        var state = TrainingState.Of(cost, shape);
        var memory = CpuMemory.CountsTensors ? Measure(recipe, data, shape, ranks) : null;
        // The first process collects it; beside adapters the weights are not written.
        var copy = (adapter is null ? state.Weights : sizeof(float) * adapter.Trained)
            + (long)(sizeof(float) * recipe.Optimizer.StateNumbers(trained));
        if (!SavesOnTheWay(recipe) || !recipe.Checkpoint.InBackground(copy)) copy = 0;
        return new RunPlan
        {
            Parameters = cost.Parameters + (adapter?.Added ?? 0),
            TrainedParameters = adapter?.Trained ?? cost.Parameters,
            ActiveParameters = cost.ActiveParameters + (adapter?.Active ?? 0),
            Components = adapter is null ? cost.Components : [.. cost.Components, new("adapter", adapter.Added)],
            Data = DataReport.Of(data, recipe.Data) with
            {
                Conversations = ConversationFit.Of(data.Train, recipe.Data, recipe.Data.RowLength(recipe.Model.ContextLength)),
            },
            VocabularySize = data.Tokenizer.VocabularySize,
            ContextLength = context,
            RowLength = row,
            MicroBatchSize = microBatch,
            Steps = recipe.Training.Steps,
            Tokens = (long)(TrainingStages.Sequences(recipe.Training) * tokensPerRow),
            TotalFlops = TrainingStages.Of(recipe.Training).Sum(stage => (stage.To - stage.From) * stage.BatchSize * tokensPerRow
                * TrainingFlops(stage.SequenceLength ?? row)),
            TrainingTokens = data.Train.Length,
            ForwardFlopsPerToken = cost.ForwardFlopsPerToken(row) + 2.0 * (adapter?.Active ?? 0),
            TrainingFlopsPerToken = TrainingFlops(row),
            CacheBytesPerToken = cost.CacheBytesPerToken(),
            CacheBytesAtContext = cost.CacheBytes(context),
            RecurrentStateBytes = cost.RecurrentStateBytes,
            Advice = PlanAdvice.Of(recipe.Model, data.Tokenizer.VocabularySize),
            StateBytes = state.Weights + state.Moments + state.Gradients,
            ActivationBytes = memory?.Activations + (teacher?.HeldBytes ?? answers?.LogitBytes ?? 0),
            MeasuredLength = memory?.MeasuredLength,
            ForGpu = onGpu,
            CheckpointCopyBytes = copy,
            PeakBytes = (answers is null ? Peak(memory, state, teacher) : Peak(memory, state, answers))
                + (reference is null ? 0 : TeacherCost.BytesOf(reference, recipe)) + copy,
            Teacher = teacher,
            Reinforcement = answers,
            Processes = ranks == 1 ? null : RanksPlan.Of(
                recipe, trained.All, trained.Matrices, shared.WholeParameters, ranks, stepSeconds, link ?? new(10e9 / 8, 30e-6)),
        };
    }

    private static long? Peak(TrainingMemory? memory, TrainingState state, TeacherCost? teacher) => teacher is null || memory is null
        ? memory?.Peak
        : teacher.WeightBytes
            + Math.Max(memory.Peak + teacher.HeldBytes, state.Weights + state.Moments + state.Gradients + teacher.PassBytes);

    private static long? Peak(TrainingMemory? memory, TrainingState state, ReinforcementCost answers) => memory is null
        ? null
        : answers.ReferenceBytes
            + Math.Max(memory.Peak + answers.LogitBytes, state.Weights + state.Moments + state.Gradients + answers.DecoderBytes);

    internal static ParameterCounts Counts(ModelCost cost)
    {
        long Of(string name) => cost.Components.Where(part => part.Name == name).Sum(part => part.Parameters);
        (long embeddings, long head) = (Of("embedding") + Of("position"), Of("head"));
        return new(embeddings, cost.Parameters - embeddings - head, head);
    }

    private static ParameterCounts Counts(AdapterCost adapter)
    {
        long Of(ParameterRole role) => adapter.TrainedByRole.GetValueOrDefault(role);
        return new(Of(ParameterRole.Embedding), Of(ParameterRole.Matrix) + Of(ParameterRole.Vector), Of(ParameterRole.Head));
    }

    // Whether a checkpoint is written, or may be the best so far, before the last step.
    private static bool SavesOnTheWay(Recipe recipe) =>
        ((long[])[recipe.Checkpoint.Every, recipe.Evaluation.Every]).Any(every => every > 0 && every < recipe.Training.Steps);

    internal static (TrainingShape Shape, bool OnGpu) Shape(
        Recipe recipe, AdapterCost? adapter, ParameterCounts parameters, int ranks)
    {
        var training = recipe.Training;
        // A GPU that is asked for but not here is planned for all the same.
        var onGpu = training.Device >= DeviceChoice.Cuda || (training.Device == DeviceChoice.Auto && cuda.is_available());
        return (new()
        {
            Threads = GradientComputation.Threads(onGpu ? DeviceType.CUDA : DeviceType.CPU, training, parameters.All, ranks: ranks),
            Accumulates = training.BatchSize > training.MicroBatch,
            ActivationCheckpointing = training.ActivationCheckpointing,
            ComputeType = training.Precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32,
            LabelSmoothing = training.LabelSmoothing,
            Adapter = adapter,
            MomentsPerParameter = recipe.Optimizer.StateNumbers(parameters) / parameters.All,
        }, onGpu);
    }

    private static TrainingMemory Measure(Recipe recipe, PreparedData data, TrainingShape shape, int ranks)
    {
        var training = recipe.Training;
        DeviceSelection.SetDeterministic(training.Deterministic);
        var longest = BatchStream.Longest(
            data, recipe.Data, recipe.Model.ContextLength, recipe.Seed, training.MicroBatch, Math.Min(BatchesLookedAt, training.Steps));
        longest = ReinforcementCost.WithLongestAnswers(longest, recipe, data.Tokenizer);
        using var scope = NewDisposeScope();
        var (input, targets) = longest.Part(ranks * shape.Threads - 1, ranks * shape.Threads).ToTensors(CPU); // the last has the rows that are over
        return TrainingMemory.Measure(recipe.Model, data.Tokenizer.VocabularySize, shape, input, targets);
    }
}
