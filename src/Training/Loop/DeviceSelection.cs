using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Turns the configured device into one that is there.</summary>
public static partial class DeviceSelection
{
    /// <summary>Chooses a device.</summary>
    /// <param name="choice">What the configuration asks for.</param>
    /// <returns>The CPU, or the first GPU.</returns>
    /// <exception cref="UserException">A GPU is asked for and there is none; the message says why and what to do.</exception>
    public static Device Choose(DeviceChoice choice) => choice switch
    {
        DeviceChoice.Cpu => CPU,
        DeviceChoice.Auto => cuda.is_available() ? CUDA : CPU,
        _ => cuda.is_available() ? CUDA : throw NoGpu(LibTorch.HasCuda),
    };

    /// <summary>Makes kernels give the same bits every time, or lets them choose.</summary>
    /// <param name="enabled">Whether only such kernels may run.</param>
    /// <param name="device">Where the run computes.</param>
    internal static void SetDeterministic(bool enabled, Device device)
    {
        // cuBLAS is deterministic only with a fixed workspace, which it reads from the process's own environment.
        if (enabled && device.type == DeviceType.CUDA && !OperatingSystem.IsWindows())
            _ = setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", overwrite: 0);
        Determinism.Enabled = enabled;
    }

    internal static UserException NoGpu(bool builtWithCuda) => new(builtWithCuda
        ? "training.device is 'cuda', but libtorch sees no GPU: check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES does not hide it, or use --set training.device=cpu"
        : $"training.device is 'cuda', but libtorch {LibTorch.Version} here was built without CUDA: run ./setup.sh --gpu or point LIBTORCH to one with CUDA and build again, or use --set training.device=cpu");

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
