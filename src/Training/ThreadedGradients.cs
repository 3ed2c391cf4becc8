using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Profiling;
using static TorchSharp.torch;

namespace Trainer.Training;

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
