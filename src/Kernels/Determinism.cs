namespace Trainer.Kernels;

/// <summary>Whether libtorch must take algorithms that give the same bits every time (<c>torch.use_deterministic_algorithms</c>).</summary>
public static class Determinism
{
    /// <summary>Process-wide. When set, an operation that has only a non-deterministic algorithm throws.</summary>
    /// <exception cref="TorchException">It is to be set, and this libtorch gives no access to it.</exception>
    /// <remarks>On CUDA, cuBLAS also needs <c>CUBLAS_WORKSPACE_CONFIG=:4096:8</c> in the environment before the first call.</remarks>
    public static bool Enabled
    {
        get => TorchContext.DeterministicAlgorithms;
        set
        {
            if (!TorchContext.SetDeterministicAlgorithms(value) && value)
                throw new TorchException(
                    "This libtorch gives no access to its deterministic mode; leave it off (training.deterministic false).");
            TorchContext.SetDeterministicFillUninitializedMemory(false);
        }
    }
}
