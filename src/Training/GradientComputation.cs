using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Profiling;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>What a step computed: the mean loss, such as nats per target token, the norm of all gradients, and the means of what the loss
/// reports besides, (K): detached float32 tensors on the device.</summary>
internal readonly record struct StepLoss(Tensor Loss, Tensor Norm, Tensor Figures);

/// <summary>Computes the gradients of one optimizer step, accumulated over its micro-batches as if they were one batch: each summed loss is
/// divided by the targets, or what else the loss counts, of the whole step. Averaging per micro-batch would weigh targets by how full theirs
/// happens to be. Of several processes each computes its rows of every micro-batch, and gradients are added up in the order of ranks and
/// their threads.</summary>
internal abstract class GradientComputation(SequenceModel model, GradientExchange? exchange, LossFunction loss)
{
    // Bytes of the gradients of one thread, and of all but the first. Small models gain from threads of their own, for which an operation
    // is little work; from 10 M parameters on, shared operations are as fast, and at 124 M they were faster by a tenth and more, and saved
    // 500 MiB of gradients and as much again (two threads, docs/kernels.md).
    private const long MaxGradients = 256L << 20, MaxFurtherGradients = 1L << 30;

    protected SequenceModel Model { get; } = model;

    /// <summary>Adds up the ranks' gradients; null in a run of one process.</summary>
    protected GradientExchange? Exchange { get; } = exchange;

    protected (int Rank, int Count) Ranks { get; } = exchange is null ? (0, 1) : (exchange.Group.Rank, exchange.Group.Size);

    /// <summary>Times the next step; null for none.</summary>
    public StepProfiler? Profiler { get; set; }

    /// <summary>Such as <c>each micro-batch in 2 parts, each on a thread of its own</c>.</summary>
    public string Description => Exchange is null ? Sharing : $"{Sharing}; {Exchange.Description}";

    protected abstract string Sharing { get; }

    /// <summary>Replaces the model's gradients with those of a step's mean loss.</summary>
    public StepLoss Compute(StepBatch batch) => Compute(batch, DrawDropoutKeys(batch));

    /// <summary>As <see cref="Compute(StepBatch)"/>, with what <see cref="DrawDropoutKeys"/> drew.</summary>
    public StepLoss Compute(StepBatch batch, IReadOnlyList<DropoutKey?> dropout)
    {
        loss.Begin(Model, batch);
        (Tensor figures, Tensor norm) = Differentiate(batch, dropout);
        return new(figures.select(0, 0), norm, figures.slice(0, 1, figures.size(0), 1));
    }

    /// <summary>The loss and its figures in one, and the norm of the gradients, which are the model's then.</summary>
    protected abstract (Tensor Figures, Tensor Norm) Differentiate(StepBatch batch, IReadOnlyList<DropoutKey?> dropout);

    /// <summary>What a step's loss is divided by.</summary>
    public long Count(StepBatch batch) => batch.MicroBatches.Sum(loss.Count);

    /// <summary>This rank's rows of a micro-batch.</summary>
    public Batch Own(Batch microBatch) => microBatch.Part(Ranks.Rank, Ranks.Count);

    public static GradientComputation Create(
        SequenceModel model, Device device, WorkerThreads? threads, LossFunction? loss = null, GradientExchange? exchange = null) =>
        threads is null
            ? new SequentialGradients(model, device, exchange, loss ?? new TokenCrossEntropy())
            : new ThreadedGradients(model, threads, exchange, loss ?? new TokenCrossEntropy());

    /// <summary>How many threads get rows of their own; 1 where a micro-batch is computed as a whole: on a GPU, with fewer rows than cores,
    /// or where the threads' gradients would take much memory. <paramref name="parameters"/> counts numbers that have a gradient.</summary>
    public static int Threads(DeviceType device, TrainingOptions options, long parameters, int? available = null, int ranks = 1)
    {
        int threads = available ?? get_num_threads();
        long gradients = parameters * sizeof(float);
        bool shares = device == DeviceType.CPU && options.MicroBatch / ranks >= threads
            && gradients <= MaxGradients && (threads - 1) * gradients <= MaxFurtherGradients;
        return shares ? threads : 1;
    }

    /// <summary>The share of some rows in the step's mean loss: as reported with its figures (detached), and with what layers add to it.
    /// <paramref name="count"/> is what the sums are divided by.</summary>
    public (Tensor Figures, Tensor Objective) Forward(
        Batch batch, DropoutKey? dropout, long count, Device device, Action<nn.Module>? differentiated = null,
        ILayerObserver? observer = null, bool repeats = false)
    {
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        if (observer is PassTimer timer) timer.Begun(ProfilePart.Data);
        DropoutKey? rows = dropout is { } key ? key with { First = batch.FirstRow } : null;
        // GPUs draw from a generator, which is in the same state on all ranks, while their rows differ.
        if (device.type == DeviceType.CUDA && Ranks.Count > 1 && rows is { Seed: var seed }) cuda.manual_seed(seed + Ranks.Rank);
        input = input with { Dropping = rows, Differentiated = differentiated, Observer = observer, Repeats = repeats };
        LossTerms terms = loss.Losses(Model, batch, input, targets);
        Tensor reported = terms.CrossEntropy.detach().reshape(1);
        if (terms.Figures is { } figures) reported = cat([reported, figures.detach()]);
        return (reported.div(count), terms.Objective.div(count));
    }

    /// <summary>A dropout key for each micro-batch, however its rows are shared out; null where nothing is dropped. Drawn in order, before
    /// threads run side by side.</summary>
    public IReadOnlyList<DropoutKey?> DrawDropoutKeys(StepBatch batch) =>
        [.. batch.MicroBatches.Select(_ => Model.Drops ? DropoutKey.Draw() : (DropoutKey?)null)];
}
