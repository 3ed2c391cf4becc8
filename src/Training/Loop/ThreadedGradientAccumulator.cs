using TorchSharp;
using TorchSharp.Modules;
using Trainer.Evaluation;
using Trainer.Text;
using Trainer.Torch;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The rows of every micro-batch in equal parts on threads of their own, each with gradients of its own, which are added up in
/// the order of the threads: the same bits every time, for the same number of threads.</summary>
internal sealed class ThreadedGradientAccumulator(LanguageModel model, int threads) : GradientAccumulator(model)
{
    private readonly WorkerThreads workers = new(threads);
    private readonly Parameter[] parameters = [.. model.parameters().Where(parameter => parameter.requires_grad)];

    public override string Description => $"each micro-batch in {workers.Count} parts, each on a thread of its own";

    public override Tensor Accumulate(BatchWindow window)
    {
        Model.zero_grad();
        var computed = new Part?[workers.Count];
        workers.Run(worker => computed[worker] = Compute(window, worker));
        Part[] parts = [.. computed.OfType<Part>()];
        workers.Run(worker => Combine(parts, worker));
        Tensor loss = parts[0].Loss.clone();
        foreach (Part part in parts.AsSpan(1)) loss.add_(part.Loss);
        foreach (Part part in parts) part.Loss.Dispose();
        return loss;
    }

    public override void Follow(Action work) => workers.Run(worker =>
    {
        if (worker > 0) return;
        using DisposeScope scope = NewDisposeScope();
        work();
    });

    public override void Dispose() => workers.Dispose();

    /// <summary>The loss and the gradients of one thread's rows of all micro-batches; null where there are fewer rows than threads.</summary>
    private Part? Compute(BatchWindow window, int worker)
    {
        using DisposeScope scope = NewDisposeScope();
        Part? sum = null;
        foreach (Batch batch in window.MicroBatches)
            if (batch.Part(worker, workers.Count) is { Rows: > 0 } rows)
                sum = Add(sum, Differentiate(rows, window.TargetTokens));
        return sum?.Detach();
    }

    private Part Differentiate(Batch rows, long windowTokens)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = rows.ToTensors(CPU);
        Tensor share = Model.LossSum(inputs, targets).div(windowTokens);
        Part part = new(share.detach(), autograd.grad([share], parameters, allow_unused: true));
        return part.MoveOut();
    }

    private static Part Add(Part? sum, Part part)
    {
        if (sum is null) return part;
        sum.Loss.add_(part.Loss);
        for (int i = 0; i < sum.Gradients.Count; i++)
            if (part.Gradients[i] is { } gradient) sum.Gradients[i]!.add_(gradient);
        return sum;
    }

    /// <summary>Adds up one thread's share of the parameters over all threads and hands the sums to the parameters.</summary>
    private void Combine(Part[] parts, int worker)
    {
        using DisposeScope scope = NewDisposeScope();
        for (int i = worker; i < parameters.Length; i += workers.Count)
        {
            if (parts[0].Gradients[i] is not { } sum) continue;
            foreach (Part part in parts.AsSpan(1))
            {
                sum.add_(part.Gradients[i]!);
                part.Gradients[i]!.Dispose();
            }
            parameters[i].grad = sum;
            sum.Dispose();
        }
    }

    private sealed record Part(Tensor Loss, IList<Tensor?> Gradients)
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
