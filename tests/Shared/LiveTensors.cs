using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Tests;

/// <summary>Tensors that are not freed yet.</summary>
internal static class LiveTensors
{
    /// <summary>How many there are, without the gradients that a thread's last backward pass keeps until its next one: which tests ran on
    /// this thread before is chance.</summary>
    internal static long Count()
    {
        Differentiation.ReleaseGradients();
        return Tensor.TotalCount;
    }
}
