using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Stochastic gradient descent with momentum over many parameters in one call (<c>_fused_sgd_</c>).</summary>
public static class FusedSgd
{
    /// <summary>Updates parameters and momenta in place; the lists run in parallel, and <paramref name="momenta"/>, zeros at the start, is
    /// empty where <paramref name="momentum"/> is 0. Weight decay is added to the gradient.</summary>
    /// <remarks>foundInfinite, a float32 tensor, is 1 to skip the update without a host round trip.</remarks>
    public static void Step(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> gradients, IReadOnlyList<Tensor> momenta,
        double learningRate, double momentum, double weightDecay, bool nesterov, Tensor? foundInfinite = null)
    {
        int expected = momentum == 0 ? 0 : parameters.Count;
        if (gradients.Count != parameters.Count || momenta.Count != expected)
            throw new ArgumentException(
                $"{parameters.Count} parameters need {parameters.Count} gradients and {expected} momenta, but these are " +
                $"{gradients.Count} and {momenta.Count}.");
        if (parameters.Count == 0) return;

        using var unrecorded = no_grad();
        Aten._fused_sgd_(parameters, gradients, momenta, weightDecay, momentum, learningRate, dampening: 0, nesterov, maximize: false,
            is_first_step: false, found_inf: foundInfinite);
        // As in FusedAdamW: the weights' versions, which ComputeWeight goes by.
        foreach (Tensor weight in parameters) weight.copy_(weight);
    }
}
