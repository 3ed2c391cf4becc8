using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>Turns the configured device into one that is there, and sets how it computes.</summary>
public static partial class DeviceSelection
{
    /// <summary>Chooses a device; a GPU becomes the current one of this thread.</summary>
    /// <param name="choice">What is asked for.</param>
    /// <returns>The CPU, or a GPU with its index.</returns>
    /// <exception cref="UserException">A GPU is asked for that is not there; the message says why and what to do.</exception>
    public static Device Choose(DeviceChoice choice)
    {
        if (Index(choice, choice == DeviceChoice.Cpu ? 0 : cuda.device_count(), LibTorch.HasCuda) is not { } index) return CPU;
        CudaDevice.MakeCurrent(index);
        return new Device(DeviceType.CUDA, index);
    }

    /// <summary>The index of the GPU to use, or null for the CPU.</summary>
    /// <param name="choice">What is asked for.</param>
    /// <param name="devices">How many GPUs there are.</param>
    /// <param name="builtWithCuda">Whether libtorch could use one.</param>
    internal static int? Index(DeviceChoice choice, int devices, bool builtWithCuda)
    {
        if (choice == DeviceChoice.Cpu || (choice == DeviceChoice.Auto && devices == 0)) return null;
        if (devices == 0) throw NoGpu(choice, builtWithCuda);
        int index = choice < DeviceChoice.Cuda0 ? 0 : choice - DeviceChoice.Cuda0;
        return index < devices ? index : throw new UserException(
            $"device '{NameOf(choice)}' is asked for, but libtorch sees {devices} GPU{(devices > 1 ? $"s, cuda:0 to cuda:{devices - 1}" : ", cuda:0")}; " +
            "use one of these, and look whether CUDA_VISIBLE_DEVICES hides others");
    }

    /// <summary>Makes kernels give the same bits every time, or lets them choose.</summary>
    /// <param name="enabled">Whether only such kernels may run.</param>
    /// <param name="device">Where the run computes.</param>
    public static void SetDeterministic(bool enabled, Device device)
    {
        // cuBLAS is deterministic only with a fixed workspace, which it reads from the process's own environment.
        if (enabled && device.type == DeviceType.CUDA && !OperatingSystem.IsWindows())
            _ = setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", overwrite: 0);
        Determinism.Enabled = enabled;
    }

    /// <summary>Sets whether float32 products may be computed as TF32; libtorch's own defaults are no for matrices, yes for convolutions.</summary>
    /// <param name="precision">What the recipe asks for.</param>
    /// <param name="device">Where the run computes.</param>
    /// <exception cref="ConfigurationException">The device has no TF32.</exception>
    public static void SetPrecision(Precision precision, Device device)
    {
        if (precision == Precision.Tf32) RequireTf32(device.type == DeviceType.CUDA ? CudaDevice.Of(device.index) : null);
        LibTorch.SetFloat32MatmulPrecision(precision == Precision.Tf32 ? "high" : "highest");
    }

    internal static void RequireTf32(CudaDevice? gpu)
    {
        if (gpu is { HasBFloat16: true }) return;
        string found = gpu is null ? "this run is on the CPU" : $"{gpu.Name} has compute capability {gpu.Capability}";
        throw new ConfigurationException([new Problem(
            "training.precision", $"tf32 needs an NVIDIA GPU of compute capability 8.0 or newer (Ampere), and {found}; set it to float32{(gpu is null ? " or bfloat16" : "")}")]);
    }

    internal static UserException NoGpu(DeviceChoice choice, bool builtWithCuda) => new($"device '{NameOf(choice)}' is asked for, but " + (builtWithCuda
        ? "libtorch sees no GPU: check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES does not hide it, or use cpu (--set training.device=cpu, or --device cpu)"
        : $"libtorch {LibTorch.Version} here was built without CUDA: build with -p:Cuda=true, or set TRAINER_LIBTORCH to the folder of one with CUDA, or use cpu (--set training.device=cpu, or --device cpu)"));

    private static string NameOf(DeviceChoice choice) => choice < DeviceChoice.Cuda0 ? choice.ToString().ToLowerInvariant() : $"cuda:{choice - DeviceChoice.Cuda0}";

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
