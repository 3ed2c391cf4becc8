using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): memory against time.</summary>
/// <remarks>A segment runs unrecorded and keeps only its input; the backward pass runs it again, recorded, with the same random numbers.
/// Gradients have the same bits as without, except of outside tensors that a segment reads more than once: those add up in another
/// order.</remarks>
public static class ActivationCheckpoint
{
    [ThreadStatic] private static bool running;

    /// <summary>Whether this thread runs a segment again: what happens once per step, such as counting, has happened.</summary>
    public static bool Recomputing => running;

    /// <summary>Runs a segment, deterministic apart from random numbers drawn on <c>drawsOn</c>, which the backward pass will run again.
    /// What it reads must last until release is called, once; others are tensors besides the input to which its gradients flow: weights,
    /// and tensors made before it or while it ran.</summary>
    public static IReadOnlyList<Tensor> Run(
        Func<Tensor, IReadOnlyList<Tensor>> segment, Tensor input, Func<IEnumerable<Tensor>> others, Action release, Device? drawsOn = null)
    {
        GeneratorSnapshot? drawn = drawsOn is null ? null : GeneratorSnapshot.Capture(drawsOn);
        Segment state = new(segment, input.detach().DetachFromDisposeScope(), input.requires_grad, release, drawn);
        return AutogradNode.Apply(
            [input],
            context =>
            {
                context.save_data(nameof(Segment), state); // released with the node
                List<Tensor> results = [.. segment(input)];
                state.Shapes = [.. results.Select(result => result.shape)];
                return results;
            },
            (_, gradients) => state.Backward(gradients),
            () => state.Others = [.. others().Where(other => other.requires_grad)]);
    }

    private sealed class Segment(
        Func<Tensor, IReadOnlyList<Tensor>> run, Tensor input, bool differentiatesInput, Action release, GeneratorSnapshot? drawn)
        : IDisposable
    {
        public Tensor[] Others { get; set; } = [];

        public long[][] Shapes { get; set; } = [];

        public List<Tensor> Backward(List<Tensor> gradients)
        {
            using IDisposable recorded = enable_grad();
            using IDisposable? present = drawn?.Return();
            running = true;
            try
            {
                Tensor start = differentiatesInput ? input.requires_grad_() : input;
                IReadOnlyList<Tensor> results = run(start);
                RequireShapes(results);
                Tensor[] wanted = differentiatesInput ? [start, .. Others] : Others;
                (Tensor Result, Tensor Gradient)[] pairs = [.. results.Zip(gradients).Where(pair => pair.First.requires_grad)];
                Tensor?[] made = Differentiation.Grad(
                    [.. pairs.Select(pair => pair.Result)], wanted, [.. pairs.Select(pair => pair.Gradient)]);
                foreach (Tensor result in results) result.Dispose(); // some belong to no scope
                return differentiatesInput ? [.. made.Select(gradient => gradient!)] : [null!, .. made.Select(gradient => gradient!)];
            }
            finally
            {
                running = false;
            }
        }

        private void RequireShapes(IReadOnlyList<Tensor> results)
        {
            for (int i = 0; i < results.Count; i++)
                if (!results[i].shape.AsSpan().SequenceEqual(Shapes[i]))
                    throw new TorchException(
                        $"running a segment again gives a tensor of shape {results[i].ShapeText} where the first run " +
                        $"gave [{string.Join(", ", Shapes[i])}]: it is not deterministic");
        }

        public void Dispose()
        {
            input.Dispose();
            drawn?.Dispose();
            release();
        }
    }
}
