using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>Operations over all gradients of a model at once.</summary>
public static class Gradients
{
    /// <summary>Scales gradients in place so that their common norm is at most <paramref name="maxNorm"/> (Pascanu et al. 2013).</summary>
    /// <param name="gradients">At least one gradient.</param>
    /// <param name="maxNorm">The limit; zero, negative or infinite only measures.</param>
    /// <param name="order">Which norm: 2 is the Euclidean one.</param>
    /// <returns>The norm before scaling, a tensor without dimensions on the gradients' device: no host round trip.
    /// A non-finite norm makes every gradient non-finite, which the update then skips.</returns>
    public static unsafe torch.Tensor ClipNorm(IReadOnlyList<torch.Tensor> gradients, double maxNorm, double order = 2)
    {
        using var pointers = new TensorPointers(gradients);
        fixed (nint* list = pointers)
            return Native.Own(tn_clip_grad_norm_(list, pointers.Count, maxNorm, order, out var result), result);
    }

    /// <summary>The second half of <see cref="ClipNorm"/>, for a norm that spans more gradients than these.</summary>
    /// <param name="gradients">Scaled in place by min(1, maxNorm / norm).</param>
    /// <param name="norm">The norm of all gradients, a tensor without dimensions.</param>
    /// <param name="maxNorm">The limit; zero, negative or infinite leaves the gradients alone.</param>
    public static unsafe void Scale(IReadOnlyList<torch.Tensor> gradients, torch.Tensor norm, double maxNorm)
    {
        if (maxNorm <= 0 || !double.IsFinite(maxNorm) || gradients.Count == 0) return;
        using var pointers = new TensorPointers(gradients);
        fixed (nint* list = pointers) Native.Check(tn_scale_to_norm_(list, pointers.Count, norm.handle, maxNorm));
    }
}
