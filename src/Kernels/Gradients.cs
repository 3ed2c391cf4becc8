using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Operations over all gradients of a model at once.</summary>
public static class Gradients
{
    /// <summary>Scales gradients in place so that their common norm is at most <paramref name="maxNorm"/> (Pascanu et al. 2013).</summary>
    /// <param name="gradients">At least one gradient.</param>
    /// <param name="maxNorm">The limit; zero, negative or infinite only measures.</param>
    /// <param name="order">Which norm: 2 is the Euclidean one.</param>
    /// <returns>The norm before scaling, a tensor without dimensions on the gradients' device: no host round trip.
    /// A non-finite norm makes every gradient non-finite, which the update then skips.</returns>
    public static Tensor ClipNorm(IReadOnlyList<Tensor> gradients, double maxNorm, double order = 2)
    {
        using var unrecorded = no_grad();
        Tensor[] norms = new Tensor[gradients.Count];
        for (int i = 0; i < norms.Length; i++) norms[i] = linalg.vector_norm(gradients[i], order);
        using Tensor all = stack(norms);
        foreach (Tensor norm in norms) norm.Dispose();
        Tensor total = linalg.vector_norm(all, order);
        Scale(gradients, total, maxNorm);
        return total;
    }

    /// <summary>The second half of <see cref="ClipNorm"/>, for a norm that spans more gradients than these.</summary>
    /// <param name="gradients">Scaled in place by min(1, maxNorm / norm).</param>
    /// <param name="norm">The norm of all gradients, a tensor without dimensions.</param>
    /// <param name="maxNorm">The limit; zero, negative or infinite leaves the gradients alone.</param>
    public static void Scale(IReadOnlyList<Tensor> gradients, Tensor norm, double maxNorm)
    {
        if (maxNorm <= 0 || !double.IsFinite(maxNorm) || gradients.Count == 0) return;
        using var unrecorded = no_grad();
        using Tensor divisor = norm.add(1e-6), ratio = divisor.reciprocal(), factor = ratio.mul_(maxNorm).clamp_max(1.0);
        Aten._foreach_mul_(gradients, factor);
    }
}
