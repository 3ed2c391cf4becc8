using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>Counts the tensors that .NET owns in native memory, so that a leak shows as a number that grows.</summary>
public static class TensorCount
{
    /// <summary>Tensors created and not yet disposed or finalized, over all threads.</summary>
    public static long Live => NativeMethods.tn_live_tensors();
}
