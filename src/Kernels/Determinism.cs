namespace Trainer.Kernels;

/// <summary>libtorch's deterministic algorithms (<c>torch.use_deterministic_algorithms</c>).</summary>
public static class Determinism
{
    /// <summary>Process-wide; while set, operations without a deterministic algorithm throw. On CUDA, cuBLAS also needs
    /// <c>CUBLAS_WORKSPACE_CONFIG=:4096:8</c> in the environment before the first call.</summary>
    /// <exception cref="TorchException">This libtorch does not let it be set.</exception>
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
