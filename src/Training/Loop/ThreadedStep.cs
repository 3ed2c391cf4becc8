using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The rows of every micro-batch in equal parts on threads of their own, each with gradients of its own, which are added up in
/// the order of the threads: the same bits every time, for the same number of threads. Clipping and the update are shared by parameters.</summary>
internal sealed class ThreadedStep(LanguageModel model, int threads, double labelSmoothing = 0) : StepComputation(model, labelSmoothing)
{
    private readonly WorkerThreads workers = new(threads);
    private readonly Parameter[] parameters = [.. model.parameters().Where(parameter => parameter.requires_grad)];

    // By position: the layers repeat, so that every thread gets about as much of each size. Tensors are equal to others of the same numbers, which takes reading them.
    private readonly HashSet<Parameter>[] shares = [.. Enumerable.Range(0, threads).Select(worker =>
        model.parameters().Where(parameter => parameter.requires_grad).Where((_, index) => index % threads == worker).ToHashSet<Parameter>(ReferenceEqualityComparer.Instance))];

    public override string Description => $"each micro-batch in {workers.Count} parts, each on a thread of its own";

    public override (Tensor Loss, Tensor Norm) Differentiate(BatchWindow window)
    {
        using DisposeScope scope = NewDisposeScope();
        Model.zero_grad();
        var computed = new Part?[workers.Count];
        DropoutKey?[] dropping = DrawKeys(window); // in order, before threads run side by side
        workers.Run(worker => computed[worker] = Compute(window, dropping, worker));
        Part[] parts = [.. computed.OfType<Part>()];
        var norms = new Tensor[workers.Count];
        workers.Run(worker => norms[worker] = Combine(parts, worker));
        // What threads hand over belongs to no scope.
        Tensor loss = stack([.. parts.Select(part => scope.Include(part.Loss))]).sum();
        Tensor norm = stack([.. norms.Select(scope.Include)]).norm();
        return (loss.MoveToOuterDisposeScope(), norm.MoveToOuterDisposeScope());
    }

    public override void Update(Optimizer optimizer, double learningRate, Tensor norm, double maxNorm, Tensor skip) => workers.Run(worker =>
    {
        using DisposeScope scope = NewDisposeScope();
        Gradients.Scale([.. shares[worker].Select(parameter => parameter.grad).OfType<Tensor>()], norm, maxNorm);
        optimizer.Step(learningRate, skip, shares[worker]);
    });

    public override void Dispose() => workers.Dispose();

    /// <summary>The loss and the gradients of one thread's rows of all micro-batches; null where there are fewer rows than threads.</summary>
    private Part? Compute(BatchWindow window, DropoutKey?[] dropping, int worker)
    {
        using DisposeScope scope = NewDisposeScope();
        Part? sum = null;
        foreach ((Batch batch, DropoutKey? key) in window.MicroBatches.Zip(dropping))
            if (batch.Part(worker, workers.Count) is { Rows: > 0 } rows)
                sum = Add(sum, Differentiate(rows, key, window.TargetTokens));
        return sum?.Detach();
    }

    private Part Differentiate(Batch rows, DropoutKey? dropping, long windowTokens)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor share, Tensor objective) = Share(rows, dropping, windowTokens, CPU);
        Part part = new(share, Differentiation.Grad([objective], parameters));
        CpuMemory.Sample();
        return part.MoveOut();
    }

    private static Part Add(Part? sum, Part part)
    {
        if (sum is null) return part;
        sum.Loss.add_(part.Loss);
        for (int i = 0; i < sum.Gradients.Length; i++)
        {
            if (part.Gradients[i] is not { } gradient) continue;
            sum.Gradients[i]!.add_(gradient);
            gradient.Dispose(); // or else all micro-batches would keep theirs to the end
        }
        return sum;
    }

    /// <summary>Adds up one thread's share of the parameters over all threads and hands the sums to the parameters.</summary>
    /// <returns>The norm of these sums.</returns>
    private Tensor Combine(Part[] parts, int worker)
    {
        using DisposeScope scope = NewDisposeScope();
        var sums = new List<Tensor>();
        for (int index = 0; index < parameters.Length; index++)
        {
            if (!shares[worker].Contains(parameters[index]) || parts[0].Gradients[index] is not { } sum) continue;
            scope.Include(sum);
            foreach (Part part in parts.AsSpan(1)) sum.add_(scope.Include(part.Gradients[index]!));
            parameters[index].grad = sum;
            sums.Add(sum);
        }

        Tensor norm = sums.Count == 0 ? zeros([]) : Gradients.ClipNorm(sums, maxNorm: 0);
        return norm.DetachFromDisposeScope();
    }

    private sealed record Part(Tensor Loss, Tensor?[] Gradients)
    {
        public Part MoveOut()
        {
            Loss.MoveToOuterDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.MoveToOuterDisposeScope();
            return this;
        }

        public Part Detach()
        {
            Loss.DetachFromDisposeScope();
            foreach (Tensor? gradient in Gradients) gradient?.DetachFromDisposeScope();
            return this;
        }
    }
}
