using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>AdamW over many parameters in one native call (<c>at::_fused_adamw_</c>; Loshchilov and Hutter 2019).</summary>
public static class FusedAdamW
{
    /// <summary>Updates parameters and moments in place and counts the step. All lists run in parallel.</summary>
    /// <param name="parameters">The weights.</param>
    /// <param name="gradients">Their gradients, of the same shapes.</param>
    /// <param name="averages">First moments.</param>
    /// <param name="squares">Second moments.</param>
    /// <param name="steps">Updates so far: float32 tensors without dimensions, on the parameters' device.</param>
    /// <param name="learningRate">Step size.</param>
    /// <param name="beta1">Decay of the first moment.</param>
    /// <param name="beta2">Decay of the second moment.</param>
    /// <param name="weightDecay">Decoupled decay: weights shrink by learningRate × weightDecay.</param>
    /// <param name="epsilon">Added to the root of the second moment.</param>
    /// <param name="gradientScale">Divides the gradients, or none.</param>
    /// <param name="foundInfinite">A float32 tensor that is 1 where the whole update has to be skipped: no host round trip. Or none.</param>
    public static unsafe void Step(IReadOnlyList<torch.Tensor> parameters, IReadOnlyList<torch.Tensor> gradients,
        IReadOnlyList<torch.Tensor> averages, IReadOnlyList<torch.Tensor> squares, IReadOnlyList<torch.Tensor> steps,
        double learningRate, double beta1, double beta2, double weightDecay, double epsilon,
        torch.Tensor? gradientScale = null, torch.Tensor? foundInfinite = null)
    {
        int[] counts = [parameters.Count, gradients.Count, averages.Count, squares.Count, steps.Count];
        if (counts.Distinct().Count() > 1)
            throw new ArgumentException($"The lists run in parallel, but hold {string.Join(", ", counts)} tensors.");
        if (parameters.Count == 0) return;

        using var p = new TensorPointers(parameters);
        using var g = new TensorPointers(gradients);
        using var a = new TensorPointers(averages);
        using var s = new TensorPointers(squares);
        using var t = new TensorPointers(steps);
        fixed (nint* pp = p, gp = g, ap = a, sp = s, tp = t)
            Native.Check(tn_fused_adamw_(pp, gp, ap, sp, tp, p.Count, learningRate, beta1, beta2, weightDecay, epsilon,
                gradientScale?.handle ?? TensorHandle.Null, foundInfinite?.handle ?? TensorHandle.Null));
    }
}
