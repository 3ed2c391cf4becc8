namespace Trainer.Kernels;

/// <summary>The kernels by which scaled dot-product attention is computed.</summary>
public enum AttentionBackend
{
    /// <summary>libtorch's own choice, but never <see cref="Math"/>: an error where no other can.</summary>
    Fused = -3,
    /// <summary>libtorch's own choice.</summary>
    Auto = -2,
    /// <summary>None of them can.</summary>
    None = -1,
    /// <summary>Plain tensor operations; the whole (T, S) matrix of weights is in memory.</summary>
    Math = 0,
    /// <summary>Flash attention (Dao 2022): memory linear in T. On the CPU libtorch's own blocked kernel.</summary>
    Flash = 1,
    /// <summary>CUDA's memory-efficient kernel (Rabe and Staats 2021).</summary>
    Efficient = 2,
    /// <summary>cuDNN's fused kernel, CUDA only.</summary>
    CuDnn = 3,
    /// <summary>Not libtorch's: <see cref="FlashAttention"/>, this project's flash attention for CPUs.</summary>
    Simd = 16,
}
