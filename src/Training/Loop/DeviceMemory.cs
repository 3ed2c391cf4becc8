using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>What training takes of a GPU's memory, and what to do where that is too much.</summary>
internal static class DeviceMemory
{
    /// <summary>Lets the peak count from now on.</summary>
    public static void ResetPeak(Device device)
    {
        if (device.type == DeviceType.CUDA) CudaMemory.ResetPeaks(device.index);
    }

    /// <summary>The most bytes that were taken of the device whenever this was asked, by its driver's count; null on a CPU. Waits for no kernel.</summary>
    public static long? Peak(Device device) => device.type == DeviceType.CUDA ? CudaMemory.Current(device.index).PeakAllocated : null;

    /// <summary>The error for a run that did not fit.</summary>
    /// <param name="cause">What libtorch said.</param>
    /// <param name="options">The run's batches.</param>
    /// <param name="device">Where it computed.</param>
    public static UserException TooLittle(ExternalException cause, TrainingOptions options, Device device) => new(
        $"out of memory on {device}: {Essence(cause.Summary)}. {Advice(options)}; plan says what a recipe needs");

    private static string Advice(TrainingOptions options) =>
        (options.MicroBatch > 1
            ? $"Compute fewer sequences at once, with the same result: training.microBatchSize is {options.MicroBatch}, try {Half(options)}"
            : "A micro-batch is one sequence already: shorten model.contextLength, or make the model smaller") +
        (options.Precision == Precision.BFloat16 ? "" : "; or set training.precision to bfloat16");

    // Dividing the batch, as it must.
    private static int Half(TrainingOptions options)
    {
        int size = options.MicroBatch / 2;
        while (options.BatchSize % size != 0) size--;
        return size;
    }

    // Behind this come the allocator's statistics and the way to its tuning knobs.
    private static string Essence(string message)
    {
        string line = message.Split('\n')[0];
        int details = line.IndexOf(" Of the allocated memory", StringComparison.Ordinal);
        return (details < 0 ? line : line[..details]).TrimEnd('.', ' ');
    }
}
