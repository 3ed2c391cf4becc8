using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>AdamW over many parameters in one call (<c>_fused_adamw_</c>; Loshchilov and Hutter 2019).</summary>
public static class FusedAdamW
{
    /// <summary>Updates parameters, first moments (averages) and second moments (squares) in place and counts the steps, float32 scalars on
    /// the parameters' device; the lists run in parallel. Weight decay is decoupled: weights shrink by learningRate ×
    /// weightDecay.</summary>
    /// <remarks>gradientScale divides the gradients. foundInfinite, a float32 tensor, is 1 to skip the update without a host round
    /// trip.</remarks>
    public static void Step(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> gradients,
        IReadOnlyList<Tensor> averages, IReadOnlyList<Tensor> squares, IReadOnlyList<Tensor> steps,
        double learningRate, double beta1, double beta2, double weightDecay, double epsilon,
        Tensor? gradientScale = null, Tensor? foundInfinite = null)
    {
        int[] counts = [parameters.Count, gradients.Count, averages.Count, squares.Count, steps.Count];
        if (counts.Distinct().Count() > 1)
            throw new ArgumentException($"The lists run in parallel, but hold {string.Join(", ", counts)} tensors.");
        if (parameters.Count == 0) return;

        using var unrecorded = no_grad();
        // Where foundInfinite is 1 the operator changes nothing, so the step is not counted either.
        using Tensor one = foundInfinite is null ? ones([], device: steps[0].device) : 1 - foundInfinite.view([]);
        foreach (Tensor step in steps) step.add_(one);
        Aten._fused_adamw_(parameters, gradients, averages, squares, [], steps, learningRate, beta1, beta2, weightDecay, epsilon,
            amsgrad: false, maximize: false, gradientScale, foundInfinite);
        // The operator does not bump the weights' versions, which ComputeWeight goes by; this copy writes nothing, but does.
        foreach (Tensor weight in parameters) weight.copy_(weight);
    }
}
