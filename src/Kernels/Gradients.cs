using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Operations over all gradients of a model at once.</summary>
public static class Gradients
{
    // From so many numbers on, a gradient has a kernel of its own on a GPU: starting one takes some microseconds, as copying fewer does.
    private const long FewestAlone = 1 << 18;

    /// <summary>Scales gradients in place so that their common norm is at most maxNorm (Pascanu et al. 2013); zero, negative or infinite
    /// only measures. The norm before scaling is a scalar on their device, without a host round trip; if it is not finite, every gradient
    /// becomes so, and the update is skipped.</summary>
    public static Tensor ClipNorm(IReadOnlyList<Tensor> gradients, double maxNorm, double order = 2)
    {
        using var unrecorded = no_grad();
        bool onGpu = gradients.Count > 0 && gradients[0].device_type == DeviceType.CUDA;
        Tensor total = onGpu ? JoinedNorm(gradients, order) : Norm(gradients, order);
        Scale(gradients, total, maxNorm);
        return total;
    }

    /// <summary>The second half of <see cref="ClipNorm"/>, for a norm (a scalar tensor) that spans more gradients than these.</summary>
    public static void Scale(IReadOnlyList<Tensor> gradients, Tensor norm, double maxNorm)
    {
        if (maxNorm <= 0 || !double.IsFinite(maxNorm) || gradients.Count == 0) return;
        using var unrecorded = no_grad();
        using Tensor divisor = norm.add(1e-6), ratio = divisor.reciprocal(), factor = ratio.mul_(maxNorm).clamp_max(1.0);
        Aten._foreach_mul_(gradients, factor);
    }

    /// <summary>The common norm, with small gradients put into one. <c>_foreach_norm</c> would do without, but takes a Scalar, which
    /// libtorch's C ABI does not pass.</summary>
    internal static Tensor JoinedNorm(IReadOnlyList<Tensor> gradients, double order)
    {
        using DisposeScope scope = NewDisposeScope();
        ILookup<bool, Tensor> alone = gradients.ToLookup(gradient => gradient.numel() >= FewestAlone);
        Tensor[] small = [.. alone[false].Select(gradient => gradient.flatten())];
        if (small.Length > 1) small = [cat(small)];
        return Norm([.. small, .. alone[true]], order).MoveToOuterDisposeScope();
    }

    private static Tensor Norm(IReadOnlyList<Tensor> gradients, double order)
    {
        Tensor[] norms = new Tensor[gradients.Count];
        for (int i = 0; i < norms.Length; i++) norms[i] = linalg.vector_norm(gradients[i], order);
        using Tensor all = stack(norms);
        foreach (Tensor norm in norms) norm.Dispose();
        return linalg.vector_norm(all, order);
    }
}
