using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>Whether libtorch must take algorithms that give the same bits every time (<c>torch.use_deterministic_algorithms</c>).</summary>
public static class Determinism
{
    /// <summary>Process-wide. When set, an operation that has only a non-deterministic algorithm throws <see cref="TorchException"/>.</summary>
    /// <remarks>On CUDA, cuBLAS also needs <c>CUBLAS_WORKSPACE_CONFIG=:4096:8</c> in the environment before the first call.</remarks>
    public static bool Enabled
    {
        get => NativeMethods.tn_deterministic() != 0;
        set => NativeMethods.tn_set_deterministic(value ? 1 : 0);
    }
}
