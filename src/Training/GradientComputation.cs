using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

internal sealed record StepBatch(IReadOnlyList<Batch> MicroBatches)
{
    /// <summary>Targets of all micro-batches: what the step's loss is divided by.</summary>
    public long TargetTokens { get; } = MicroBatches.Sum(batch => (long)batch.TargetTokens);

    /// <summary>Takes the next micro-batches. None is taken ahead, so the loader's position is what a checkpoint saves.</summary>
    public static StepBatch Next(BatchLoader loader, TrainingOptions options)
    {
        var batches = new Batch[options.BatchSize / options.MicroBatch];
        for (int i = 0; i < batches.Length; i++) batches[i] = loader.Next();
        return new StepBatch(batches);
    }
}

/// <summary>Computes the gradients of one optimizer step, accumulated over its micro-batches as if they were one batch: each summed loss is
/// divided by the targets of the whole step. Averaging per micro-batch would weigh targets by how full theirs happens to be.</summary>
internal abstract class GradientComputation(LanguageModel model, double labelSmoothing)
{
    // Bytes of the gradients of one thread, and of all but the first. Small models gain from threads of their own, for which an operation
    // is little work; from 10 M parameters on, shared operations are as fast, and at 124 M they were faster by a tenth and more, and saved
    // 500 MiB of gradients and as much again (two threads, docs/kernels.md).
    private const long MaxGradients = 256L << 20, MaxFurtherGradients = 1L << 30;

    protected LanguageModel Model { get; } = model;

    public abstract string Description { get; }

    /// <summary>Replaces the model's gradients with those of a step's mean loss; returns that loss, in nats per target token, and the norm
    /// of all gradients: detached float32 scalars on the device.</summary>
    public abstract (Tensor Loss, Tensor Norm) Compute(StepBatch batch);

    public static GradientComputation Create(LanguageModel model, Device device, WorkerThreads? threads, double labelSmoothing = 0) =>
        threads is null ? new SequentialGradients(model, device, labelSmoothing) : new ThreadedGradients(model, threads, labelSmoothing);

    /// <summary>How many threads get rows of their own; 1 where a micro-batch is computed as a whole: on a GPU, with fewer rows than cores,
    /// or where the threads' gradients would take much memory. <paramref name="parameters"/> counts numbers that have a gradient.</summary>
    public static int Threads(DeviceType device, TrainingOptions options, long parameters, int? available = null)
    {
        int threads = available ?? get_num_threads();
        long gradients = parameters * sizeof(float);
        bool shares = device == DeviceType.CPU && options.MicroBatch >= threads
            && gradients <= MaxGradients && (threads - 1) * gradients <= MaxFurtherGradients;
        return shares ? threads : 1;
    }

    /// <summary>The share of some rows in the step's mean loss: as reported (detached), and with what layers add to it.</summary>
    protected (Tensor Loss, Tensor Objective) Forward(Batch batch, DropoutKey? dropout, long stepTokens, Device device)
    {
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        DropoutKey? rows = dropout is { } key ? key with { First = batch.FirstRow } : null;
        LossTerms terms = Model.Losses(input with { Dropping = rows }, targets, labelSmoothing);
        return (terms.CrossEntropy.detach().div(stepTokens), terms.Objective.div(stepTokens));
    }

    /// <summary>A dropout key for each micro-batch, however its rows are shared out; null where nothing is dropped.</summary>
    protected DropoutKey?[] DrawDropoutKeys(StepBatch batch) =>
        [.. batch.MicroBatches.Select(_ => Model.Options.Dropout > 0 ? DropoutKey.Draw() : (DropoutKey?)null)];
}

internal sealed class SequentialGradients(LanguageModel model, Device device, double labelSmoothing)
    : GradientComputation(model, labelSmoothing)
{
    private readonly Parameter[] parameters = [.. model.parameters()];

    public override string Description =>
        device.type == DeviceType.CPU ? $"every operation on {get_num_threads()} threads" : $"on {device}";

    public override (Tensor Loss, Tensor Norm) Compute(StepBatch batch)
    {
        Model.zero_grad();
        Tensor loss = zeros([], dtype: ScalarType.Float32, device: device);
        foreach ((Batch microBatch, DropoutKey? dropout) in batch.MicroBatches.Zip(DrawDropoutKeys(batch)))
            AddGradients(microBatch, dropout, batch.TargetTokens, loss);
        return (loss, Gradients.ClipNorm([.. parameters.Select(p => p.grad).OfType<Tensor>()], maxNorm: 0));
    }

    private void AddGradients(Batch microBatch, DropoutKey? dropout, long stepTokens, Tensor loss)
    {
        // One scope per micro-batch: the garbage collector does not see the memory of its graph.
        using DisposeScope scope = NewDisposeScope();
        (Tensor share, Tensor objective) = Forward(microBatch, dropout, stepTokens, device);
        Differentiation.Backward(objective);
        CpuMemory.Sample();
        loss.add_(share);
    }
}

/// <summary>Each micro-batch in equal parts on threads of their own. Gradients are summed in a fixed order.</summary>
internal sealed class ThreadedGradients(LanguageModel model, WorkerThreads threads, double labelSmoothing)
    : GradientComputation(model, labelSmoothing)
{
    private readonly Parameter[] parameters = [.. model.parameters().Where(parameter => parameter.requires_grad)];

    public override string Description => $"each micro-batch in {threads.Count} parts, each on a thread of its own";

    public override (Tensor Loss, Tensor Norm) Compute(StepBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        Model.zero_grad();
        DropoutKey?[] dropout = DrawDropoutKeys(batch); // in order, before threads run side by side
        var computed = new Share?[threads.Count];
        threads.Run(thread => computed[thread] = Differentiate(batch, dropout, thread));
        Share[] shares = [.. computed.OfType<Share>()];
        var norms = new Tensor[threads.Count];
        threads.Run(thread => norms[thread] = AddUp(shares, thread));
        // Tensors that threads hand over belong to no scope.
        Tensor loss = stack([.. shares.Select(share => scope.Include(share.Loss))]).sum();
        Tensor norm = stack([.. norms.Select(scope.Include)]).norm();
        return (loss.MoveToOuterDisposeScope(), norm.MoveToOuterDisposeScope());
    }

    /// <summary>Loss and gradients of one thread's rows; null where there are fewer rows than threads.</summary>
    private Share? Differentiate(StepBatch batch, DropoutKey?[] dropout, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        Share? sum = null;
        foreach ((Batch microBatch, DropoutKey? key) in batch.MicroBatches.Zip(dropout))
            if (microBatch.Part(thread, threads.Count) is { Rows: > 0 } rows)
                sum = Add(sum, Differentiate(rows, key, batch.TargetTokens));
        return sum?.Detach();
    }

    private Share Differentiate(Batch rows, DropoutKey? dropout, long stepTokens)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor loss, Tensor objective) = Forward(rows, dropout, stepTokens, CPU);
        Share share = new(loss, Differentiation.Grad([objective], parameters));
        CpuMemory.Sample();
        return share.MoveToOuterScope();
    }

    private static Share Add(Share? sum, Share share)
    {
        if (sum is null) return share;
        sum.Loss.add_(share.Loss);
        for (int i = 0; i < sum.Gradients.Length; i++)
        {
            if (share.Gradients[i] is not { } gradient) continue;
            sum.Gradients[i]!.add_(gradient);
            gradient.Dispose(); // otherwise all micro-batches would keep theirs to the end
        }
        return sum;
    }

    /// <summary>Sums every n-th gradient over all threads, gives the sums to the parameters, and returns their norm.</summary>
    private Tensor AddUp(Share[] shares, int thread)
    {
        using DisposeScope scope = NewDisposeScope();
        var sums = new List<Tensor>();
        for (int index = thread; index < parameters.Length; index += threads.Count)
        {
            if (shares[0].Gradients[index] is not { } sum) continue;
            scope.Include(sum);
            foreach (Share share in shares.AsSpan(1)) sum.add_(scope.Include(share.Gradients[index]!));
            parameters[index].grad = sum;
            sums.Add(sum);
        }

        Tensor norm = sums.Count == 0 ? zeros([]) : Gradients.ClipNorm(sums, maxNorm: 0);
        return norm.DetachFromDisposeScope();
    }

    /// <summary>What one thread computed; a gradient is null where its parameter was not used.</summary>
    private sealed record Share(Tensor Loss, Tensor?[] Gradients)
    {
        public Share MoveToOuterScope()
        {
            Loss.MoveToOuterDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.MoveToOuterDisposeScope();
            return this;
        }

        public Share Detach()
        {
            Loss.DetachFromDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.DetachFromDisposeScope();
            return this;
        }
    }
}
