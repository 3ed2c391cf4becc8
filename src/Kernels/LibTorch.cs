using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>libtorch in this process, and how it computes.</summary>
public static class LibTorch
{
    /// <summary>The libtorch that TorchSharp was built for, such as <c>2.10.0</c>.</summary>
    public static string Version => __version__;

    /// <summary>Whether this libtorch was built with CUDA; a device may still be absent.</summary>
    public static bool HasCuda { get; } = cuda.is_available() || TorchLibrary.Loaded("torch_cuda") != 0;

    /// <summary>The vector instructions of libtorch's kernels here, such as <c>AVX512</c>.</summary>
    public static string CpuCapability => TorchContext.CpuCapability()
        ?? (Avx512F.IsSupported ? "AVX512" : Avx2.IsSupported ? "AVX2" : AdvSimd.IsSupported ? "NEON" : "DEFAULT");

    /// <summary>float32 products and convolutions on a GPU: <c>highest</c>, or <c>high</c> or <c>medium</c> for TF32.</summary>
    /// <exception cref="ArgumentException">Another value.</exception>
    public static void SetFloat32MatmulPrecision(string precision)
    {
        if (precision is not ("highest" or "high" or "medium"))
            throw new ArgumentException($"'{precision}' is no precision; highest, high and medium are.", nameof(precision));
        backends.cuda.matmul.allow_tf32 = precision != "highest";
        // A separate switch, on by default: float32 convolutions would lose 13 bits where products keep them.
        backends.cudnn.allow_tf32 = precision != "highest";
    }
}
