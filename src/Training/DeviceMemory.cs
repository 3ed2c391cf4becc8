using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Devices;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training;

internal static class DeviceMemory
{
    public static void ResetPeak(Device device)
    {
        if (device.type == DeviceType.CUDA) CudaMemory.ResetPeaks(device.index);
    }

    /// <summary>Peak bytes in use by the driver's count, sampled at each call; null on a CPU. Waits for no kernel.</summary>
    public static long? Peak(Device device) => device.type == DeviceType.CUDA ? CudaMemory.Current(device.index).PeakAllocated : null;

    public static UserException OutOfMemory(ExternalException cause, TrainingOptions options, Device device) => new(
        $"out of memory on {device}: {WithoutStatistics(cause.Summary)}. {Advice(options)}; plan says what a recipe needs");

    private static string Advice(TrainingOptions options) =>
        (options.MicroBatch > 1
            ? $"Compute fewer sequences at once, with the same result: training.microBatchSize is {options.MicroBatch}, try {Half(options)}"
            : "A micro-batch is one sequence already: shorten model.contextLength, or make the model smaller") +
        (options.Precision == Precision.BFloat16 ? "" : "; or set training.precision to bfloat16");

    // Must divide the batch.
    private static int Half(TrainingOptions options)
    {
        int size = options.MicroBatch / 2;
        while (options.BatchSize % size != 0) size--;
        return size;
    }

    // The allocator appends its statistics and tuning knobs.
    private static string WithoutStatistics(string message)
    {
        string line = message.Split('\n')[0];
        int details = line.IndexOf(" Of the allocated memory", StringComparison.Ordinal);
        return (details < 0 ? line : line[..details]).TrimEnd('.', ' ');
    }
}

internal sealed class MemoryUse(Device device)
{
    private readonly long start = Environment.WorkingSet;
    private readonly long tensors = CpuMemory.ResetPeak().Allocated;

    /// <summary>Peak bytes of weights, gradients, optimizer state and activations.</summary>
    public long PeakTensors => DeviceMemory.Peak(device) ?? CpuMemory.Current().PeakAllocated - tensors;

    public string Describe()
    {
        using Process process = Process.GetCurrentProcess();
        return $"memory: tensors took at most {HumanFormat.Bytes(PeakTensors)}; the process grew from {HumanFormat.Bytes(start)} to " +
            $"{HumanFormat.Bytes(process.PeakWorkingSet64)}";
    }
}
