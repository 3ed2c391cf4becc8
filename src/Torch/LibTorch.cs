using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>Which libtorch this process runs on, and how it was built.</summary>
public static class LibTorch
{
    /// <summary>The version of the headers that the shim was compiled with, such as <c>2.6.0</c>.</summary>
    public static string Version => Native.Text(NativeMethods.tn_version());

    /// <summary>Whether the shim was built against a CUDA libtorch; a device may still be absent.</summary>
    public static bool HasCuda => NativeMethods.tn_built_with_cuda() != 0;

    /// <summary>libtorch's own description of its build and of its thread pools, several lines.</summary>
    public static string Configuration => Native.Text(NativeMethods.tn_configuration());

    /// <summary>The vector instructions that libtorch's kernels use here, such as <c>AVX512</c>.</summary>
    public static string CpuCapability
    {
        get
        {
            Native.Check(NativeMethods.tn_cpu_capability(out var text));
            return Native.Text(text);
        }
    }

    /// <summary>Treat denormal floats as zero on this thread; false where the processor cannot.</summary>
    public static bool SetFlushDenormal(bool enabled) => NativeMethods.tn_set_flush_denormal(enabled ? 1 : 0) != 0;

    /// <summary>How float32 matrix products and convolutions are computed: <c>highest</c>, <c>high</c> (TF32 where a GPU has it) or <c>medium</c>.</summary>
    /// <exception cref="ArgumentException">It is none of them; libtorch itself would only warn.</exception>
    public static void SetFloat32MatmulPrecision(string precision)
    {
        if (precision is not ("highest" or "high" or "medium"))
            throw new ArgumentException($"'{precision}' is no precision; highest, high and medium are.", nameof(precision));
        NativeMethods.tn_set_float32_matmul_precision(precision);
    }
}
