using TorchSharp;
using TorchSharp.Modules;
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
/// happens to be. Of several
/// processes each computes its rows of every micro-batch, and gradients are added up in the order of ranks and their threads.</summary>
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

internal sealed class SequentialGradients(SequenceModel model, Device device, GradientExchange? exchange, LossFunction loss)
    : GradientComputation(model, exchange, loss)
{
    private readonly int figures = 1 + loss.FigureNames.Count;
    private readonly Parameter[] parameters = [.. model.parameters()];

    protected override string Sharing =>
        device.type == DeviceType.CPU ? $"every operation on {get_num_threads()} threads" : $"on {device}";

    protected override (Tensor Figures, Tensor Norm) Differentiate(StepBatch batch, IReadOnlyList<DropoutKey?> dropout)
    {
        using (Profiler?.Main.Measure(ProfilePart.GradientSums)) Model.zero_grad();
        Exchange?.Begin();
        Tensor sum = zeros(figures, dtype: ScalarType.Float32, device: device);
        long count = Count(batch);
        for (int i = 0; i < dropout.Count; i++)
        {
            // Gradients are whole, and can be sent, in the backward pass of the last one.
            Action<nn.Module>? differentiated = Exchange is not null && i == dropout.Count - 1 ? Exchange.Differentiated : null;
            AddGradients(Own(batch.MicroBatches[i]), dropout[i], count, sum, differentiated);
        }
        using (Exchange is null ? null : Profiler?.Main.Measure(ProfilePart.Exchange)) Exchange?.Finish(sum);
        using IDisposable? time = Profiler?.Main.Measure(ProfilePart.GradientSums);
        return (sum, Exchange?.Shards?.Norm() ?? Gradients.ClipNorm([.. parameters.Select(p => p.grad).OfType<Tensor>()], maxNorm: 0));
    }

    private void AddGradients(Batch rows, DropoutKey? dropout, long count, Tensor sum, Action<nn.Module>? differentiated)
    {
        // One scope per micro-batch: the garbage collector does not see the memory of its graph.
        using DisposeScope scope = NewDisposeScope();
        PassTimer? timer = Profiler?.Main.BeginPass();
        (Tensor share, Tensor objective) = Forward(rows, dropout, count, device, differentiated, timer);
        Differentiation.Backward(objective);
        timer?.Finish();
        CpuMemory.Sample();
        sum.add_(share);
    }
}

/// <summary>Each micro-batch in equal parts on threads of their own. Gradients are summed in a fixed order.</summary>
internal sealed class ThreadedGradients(SequenceModel model, WorkerThreads threads, GradientExchange? exchange, LossFunction loss)
    : GradientComputation(model, exchange, loss)
{
    private readonly Parameter[] parameters = [.. model.parameters().Where(parameter => parameter.requires_grad)];

    protected override string Sharing => $"each micro-batch in {threads.Count} parts, each on a thread of its own";

    protected override (Tensor Figures, Tensor Norm) Differentiate(StepBatch batch, IReadOnlyList<DropoutKey?> dropout)
    {
        using DisposeScope scope = NewDisposeScope();
        using (Profiler?.Main.Measure(ProfilePart.GradientSums)) Model.zero_grad();
        long count = Count(batch);
        var computed = new Share?[threads.Count];
        using (Profiler?.Main.Measure(ProfilePart.Threads))
            threads.Run(thread => computed[thread] = Differentiate(batch, dropout, count, thread));
        Share[] shares = [.. computed.OfType<Share>()];
        // Tensors that threads hand over belong to no scope.
        Tensor sum = stack([.. shares.Select(share => scope.Include(share.Figures))]).sum(dim: 0);
        var norms = new Tensor?[parameters.Length];
        using (Profiler?.Main.Measure(ProfilePart.GradientSums))
            threads.Run(thread =>
            {
                AddUp(shares, thread);
                if (Exchange is null) Measure(norms, thread);
            });
        if (Exchange is not null)
        {
            Exchange.Begin();
            using (Profiler?.Main.Measure(ProfilePart.Exchange)) Exchange.Finish(sum);
            if (Exchange.Shards is { } shards) return (sum.MoveToOuterDisposeScope(), shards.Norm().MoveToOuterDisposeScope());
            threads.Run(thread => Measure(norms, thread));
        }
        Tensor[] all = [.. norms.OfType<Tensor>().Select(scope.Include)];
        Tensor norm = all.Length == 0 ? zeros([]) : linalg.vector_norm(stack(all));
        return (sum.MoveToOuterDisposeScope(), norm.MoveToOuterDisposeScope());
    }

    /// <summary>Loss and gradients of one thread's rows; null where there are fewer rows than threads.</summary>
    private Share? Differentiate(StepBatch batch, IReadOnlyList<DropoutKey?> dropout, long count, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        Share? sum = null;
        foreach ((Batch microBatch, DropoutKey? key) in batch.MicroBatches.Zip(dropout))
            if (microBatch.Part(Ranks.Rank * threads.Count + thread, Ranks.Count * threads.Count) is { Rows: > 0 } rows)
            {
                Share share = Differentiate(rows, key, count, thread);
                using (Profiler?.Workers[thread].Measure(ProfilePart.GradientSums)) sum = Add(sum, share);
            }
        return sum?.Detach();
    }

    private Share Differentiate(Batch rows, DropoutKey? dropout, long count, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        PassTimer? timer = Profiler?.Workers[thread].BeginPass();
        (Tensor figures, Tensor objective) = Forward(rows, dropout, count, CPU, observer: timer);
        Share share = new(figures, Differentiation.Grad([objective], parameters));
        timer?.Finish();
        CpuMemory.Sample();
        return share.MoveToOuterScope();
    }

    private static Share Add(Share? sum, Share share)
    {
        if (sum is null) return share;
        sum.Figures.add_(share.Figures);
        for (int i = 0; i < sum.Gradients.Length; i++)
        {
            if (share.Gradients[i] is not { } gradient) continue;
            sum.Gradients[i]!.add_(gradient);
            gradient.Dispose(); // otherwise all micro-batches would keep theirs to the end
        }
        return sum;
    }

    /// <summary>Sums every n-th gradient over all threads and gives the sums to the parameters.</summary>
    private void AddUp(Share[] shares, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        for (int index = thread; index < parameters.Length; index += threads.Count)
        {
            if (shares[0].Gradients[index] is not { } sum) continue;
            scope.Include(sum);
            foreach (Share share in shares.AsSpan(1)) sum.add_(scope.Include(share.Gradients[index]!));
            parameters[index].grad = sum;
        }
    }

    /// <summary>Computes the norm of every n-th gradient. Their common norm does not depend on how many threads there are.</summary>
    private void Measure(Tensor?[] norms, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        for (int index = thread; index < parameters.Length; index += threads.Count)
            if (parameters[index].grad is { } gradient) norms[index] = linalg.vector_norm(gradient).DetachFromDisposeScope();
    }

    /// <summary>What one thread computed; a gradient is null where its parameter was not used.</summary>
    private sealed record Share(Tensor Figures, Tensor?[] Gradients)
    {
        public Share MoveToOuterScope()
        {
            Figures.MoveToOuterDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.MoveToOuterDisposeScope();
            return this;
        }

        public Share Detach()
        {
            Figures.DetachFromDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.DetachFromDisposeScope();
            return this;
        }
    }
}
