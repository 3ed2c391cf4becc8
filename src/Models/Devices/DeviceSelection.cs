using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Devices;

/// <summary>The device of a model. Indices count the GPUs the process sees; CUDA_VISIBLE_DEVICES selects among more than eight.</summary>
public enum DeviceChoice
{
    /// <summary>The first GPU, or the CPU if there is none.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The CPU.</summary>
    [JsonStringEnumMemberName("cpu")]
    Cpu,

    /// <summary>The first NVIDIA GPU; an error where there is none.</summary>
    [JsonStringEnumMemberName("cuda")]
    Cuda,

    /// <summary>The GPU with index 0.</summary>
    [JsonStringEnumMemberName("cuda:0")]
    Cuda0,

    /// <summary>The GPU with index 1.</summary>
    [JsonStringEnumMemberName("cuda:1")]
    Cuda1,

    /// <summary>The GPU with index 2.</summary>
    [JsonStringEnumMemberName("cuda:2")]
    Cuda2,

    /// <summary>The GPU with index 3.</summary>
    [JsonStringEnumMemberName("cuda:3")]
    Cuda3,

    /// <summary>The GPU with index 4.</summary>
    [JsonStringEnumMemberName("cuda:4")]
    Cuda4,

    /// <summary>The GPU with index 5.</summary>
    [JsonStringEnumMemberName("cuda:5")]
    Cuda5,

    /// <summary>The GPU with index 6.</summary>
    [JsonStringEnumMemberName("cuda:6")]
    Cuda6,

    /// <summary>The GPU with index 7.</summary>
    [JsonStringEnumMemberName("cuda:7")]
    Cuda7,
}

/// <summary>Selects the device and its arithmetic.</summary>
public static partial class DeviceSelection
{
    private static int gpuChosen;

    /// <summary>Selects a device; a GPU becomes this thread's current one. Of several processes on one machine each gets the GPU of its
    /// number, unless it sees only one.</summary>
    /// <exception cref="UserException">The GPU is not there; the message says why and what to do.</exception>
    public static Device Choose(DeviceChoice choice, int localRank = 0, int localSize = 1)
    {
        int devices = choice == DeviceChoice.Cpu ? 0 : cuda.device_count();
        if (Index(choice, devices, LibTorch.HasCuda) is not { } index) return CPU;
        if (localSize > 1 && devices > 1) index = IndexOf(choice, devices, localRank, localSize);
        // cuBLAS is deterministic only with a fixed workspace, which libtorch looks for in the process's environment at the first product.
        if (!OperatingSystem.IsWindows()) _ = setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", overwrite: 0);
        CudaDevice.MakeCurrent(index);
        // float32 is float32 until a recipe says otherwise: by libtorch's default cuDNN's convolutions are TF32.
        if (Interlocked.Exchange(ref gpuChosen, 1) == 0) LibTorch.SetFloat32MatmulPrecision("highest");
        return new Device(DeviceType.CUDA, index);
    }

    internal static int? Index(DeviceChoice choice, int devices, bool builtWithCuda)
    {
        if (choice == DeviceChoice.Cpu || (choice == DeviceChoice.Auto && devices == 0)) return null;
        if (devices == 0) throw NoGpu(choice, builtWithCuda);
        int index = choice < DeviceChoice.Cuda0 ? 0 : choice - DeviceChoice.Cuda0;
        return index < devices ? index : throw new UserException(
            $"device '{NameOf(choice)}' is asked for, " +
            $"but libtorch sees {devices} GPU{(devices > 1 ? $"s, cuda:0 to cuda:{devices - 1}" : ", cuda:0")}; " +
            "use one of these, and look whether CUDA_VISIBLE_DEVICES hides others");
    }

    internal static int IndexOf(DeviceChoice choice, int devices, int localRank, int localSize)
    {
        if (choice >= DeviceChoice.Cuda0)
            throw new UserException(
                $"device '{NameOf(choice)}' is one GPU, and {localSize} processes are on this machine; use cuda, which gives each its own");
        return localRank < devices ? localRank : throw new UserException(
            $"{localSize} processes are on this machine, and libtorch sees {devices} GPUs; start as many processes as GPUs, and look " +
            "whether CUDA_VISIBLE_DEVICES hides others");
    }

    /// <summary>Sets whether only deterministic kernels run.</summary>
    public static void SetDeterministic(bool enabled) => Determinism.Enabled = enabled;

    /// <summary>Sets whether float32 products and convolutions may be TF32; on a GPU that <see cref="Choose"/> gave they may not.</summary>
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
            "training.precision", $"tf32 needs an NVIDIA GPU of compute capability 8.0 or newer (Ampere), and {found}; " +
            $"set it to float32{(gpu is null ? " or bfloat16" : "")}")]);
    }

    internal static UserException NoGpu(DeviceChoice choice, bool builtWithCuda) =>
        new($"device '{NameOf(choice)}' is asked for, but " + (builtWithCuda
        ? "libtorch sees no GPU: check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES does not hide it, or use cpu (--set " +
            "training.device=cpu, or --device cpu)"
        : $"libtorch {LibTorch.Version} here was built without CUDA: build with -p:Cuda=true, or set TRAINER_LIBTORCH to the folder of " +
            "one with CUDA, or use cpu (--set training.device=cpu, or --device cpu)"));

    private static string NameOf(DeviceChoice choice) =>
        choice < DeviceChoice.Cuda0 ? choice.ToString().ToLowerInvariant() : $"cuda:{choice - DeviceChoice.Cuda0}";

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
