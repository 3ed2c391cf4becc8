using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Which libtorch this process runs on, and how it computes.</summary>
public static class LibTorch
{
    /// <summary>The version of libtorch that TorchSharp was built for, such as <c>2.10.0</c>.</summary>
    public static string Version => __version__;

    /// <summary>Whether this libtorch was built with CUDA; a device may still be absent.</summary>
    public static bool HasCuda { get; } = cuda.is_available() || TorchLibrary.Loaded("torch_cuda") != 0;

    /// <summary>The vector instructions that libtorch's kernels use here, such as <c>AVX512</c>.</summary>
    public static string CpuCapability => TorchContext.CpuCapability()
        ?? (Avx512F.IsSupported ? "AVX512" : Avx2.IsSupported ? "AVX2" : AdvSimd.IsSupported ? "NEON" : "DEFAULT");

    /// <summary>Treat denormal floats as zero on this thread; false where the processor or this libtorch cannot.</summary>
    public static bool SetFlushDenormal(bool enabled) => TorchContext.SetFlushDenormal(enabled);

    /// <summary>How float32 matrix products and convolutions are computed on a GPU: <c>highest</c>, or <c>high</c> and <c>medium</c> with
    /// TF32 where it has that.</summary>
    /// <exception cref="ArgumentException">It is none of them.</exception>
    public static void SetFloat32MatmulPrecision(string precision)
    {
        if (precision is not ("highest" or "high" or "medium"))
            throw new ArgumentException($"'{precision}' is no precision; highest, high and medium are.", nameof(precision));
        backends.cuda.matmul.allow_tf32 = precision != "highest";
        // A switch of its own, which libtorch leaves on: float32 convolutions would lose 13 bits where products keep them.
        backends.cudnn.allow_tf32 = precision != "highest";
    }
}
