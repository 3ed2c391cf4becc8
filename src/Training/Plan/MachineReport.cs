using System.Runtime.InteropServices;
using Trainer.Distributed;
using Trainer.Kernels;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>The measured capabilities of this machine, with advice.</summary>
public sealed record MachineReport
{
    /// <summary>Names and values, in display order.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Rows { get; init; }

    /// <summary>What limits it, and what to do.</summary>
    public required IReadOnlyList<string> Advice { get; init; }

    /// <summary>Examines the machine; takes about a second.</summary>
    public static MachineReport Examine()
    {
        var float32 = PeakFlops.Measure(CPU, ScalarType.Float32);
        var bfloat16 = PeakFlops.Measure(CPU, ScalarType.BFloat16);
        return new MachineReport
        {
            Rows =
            [
                new(".NET", $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.OSDescription}"),
                new("libtorch", $"{LibTorchLoader.Version}, {(LibTorch.HasCuda ? "with" : "without")} CUDA"),
                new("libtorch folder", LibTorchLoader.Folder),
                .. LibTorchLoader.Lacks is { } lacks
                    ? [new KeyValuePair<string, string>("libtorch lacks", lacks)]
                    : Array.Empty<KeyValuePair<string, string>>(),
                new("processor", $"{Environment.ProcessorCount} cores, {LibTorch.CpuCapability}, {get_num_threads()} threads"),
                new("memory", $"{HumanFormat.Bytes(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)}"),
                new("disk", $"{HumanFormat.Bytes(new DriveInfo(Environment.CurrentDirectory).AvailableFreeSpace)} free here"),
                new("float32 products", $"{float32 / 1e9:0} GFLOP/s"),
                new("bfloat16 products", $"{bfloat16 / 1e9:0} GFLOP/s"),
                new("CPU attention", $"{Backend(CPU, ScalarType.Float32)} for causal float32"),
                .. Gpus(),
                .. ProcessGroup.Libraries(),
            ],
            Advice = [.. Advise(float32, bfloat16)],
        };
    }

    private static IEnumerable<KeyValuePair<string, string>> Gpus()
    {
        var count = cuda.device_count();
        if (count == 0)
            yield return new("GPU", LibTorch.HasCuda ? "CUDA, but no device: does nvidia-smi list one?" : "not used: this libtorch " +
                "has no CUDA; build with -p:Cuda=true, or set TRAINER_LIBTORCH");
        for (var index = 0; index < count; index++)
        {
            var (gpu, device) = (CudaDevice.Of(index), new Device(TorchSharp.DeviceType.CUDA, index));
            yield return new($"cuda:{index}", Describe(gpu));
            yield return new($"cuda:{index} products", Products(gpu, device));
            yield return new($"cuda:{index} attention", $"{Backend(device, ScalarType.Float32)} for causal float32, " +
                $"{Backend(device, ScalarType.BFloat16)} for bfloat16");
        }
    }

    internal static string Describe(CudaDevice gpu) =>
        $"{gpu.Name}, compute capability {gpu.Capability}, {gpu.Multiprocessors} multiprocessors, {HumanFormat.Bytes(gpu.Memory)} of " +
        $"which {HumanFormat.Bytes(gpu.FreeMemory)} free, CUDA {gpu.Runtime}, driver for {gpu.Driver}";

    private static string Products(CudaDevice gpu, Device device)
    {
        var text = $"{PeakFlops.Measure(device, ScalarType.Float32) / 1e12:0.0} TFLOP/s float32";
        if (!gpu.HasBFloat16) return text;
        LibTorch.SetFloat32MatmulPrecision("high");
        var tf32 = PeakFlops.Measure(device, ScalarType.Float32);
        LibTorch.SetFloat32MatmulPrecision("highest");
        return $"{text}, {tf32 / 1e12:0.0} tf32, {PeakFlops.Measure(device, ScalarType.BFloat16) / 1e12:0.0} bfloat16";
    }

    private static string Backend(Device device, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var query = zeros([1, 1, 8, 64], dtype: type, device: device);
        var backend = FlashAttention.IsSupported(query, query, query)
            ? AttentionBackend.Simd
            : ScaledDotProductAttention.Backend(query, query, query, isCausal: true);
        return backend.ToString().ToLowerInvariant();
    }

    private static IEnumerable<string> Advise(double float32, double bfloat16)
    {
        if (get_num_threads() < Environment.ProcessorCount)
            yield return $"libtorch uses {get_num_threads()} of {Environment.ProcessorCount} cores " +
                $"(OMP_NUM_THREADS={Environment.GetEnvironmentVariable("OMP_NUM_THREADS")}).";
        if (bfloat16 < float32)
            yield return "bfloat16 is slower than float32 on this processor; keep training.precision at float32.";
    }
}
