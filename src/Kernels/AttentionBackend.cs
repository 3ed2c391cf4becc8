namespace Trainer.Kernels;

/// <summary>Kernels of scaled dot-product attention.</summary>
public enum AttentionBackend
{
    /// <summary>libtorch's choice, without <see cref="Math"/>: an error if no other can run.</summary>
    Fused = -3,
    /// <summary>libtorch's choice.</summary>
    Auto = -2,
    /// <summary>No kernel can run.</summary>
    None = -1,
    /// <summary>Plain tensor operations; the whole (T, S) matrix of weights is in memory.</summary>
    Math = 0,
    /// <summary>Flash attention (Dao 2022), memory linear in T; on the CPU libtorch's own blocked kernel.</summary>
    Flash = 1,
    /// <summary>CUDA's memory-efficient kernel (Rabe and Staats 2021).</summary>
    Efficient = 2,
    /// <summary>cuDNN's fused kernel, CUDA only.</summary>
    CuDnn = 3,
    /// <summary>Not libtorch's: <see cref="FlashAttention"/> on the CPU.</summary>
    Simd = 16,
}
