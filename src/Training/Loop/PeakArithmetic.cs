using System.Diagnostics;
using TorchSharp;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The arithmetic a device can do, measured: what model FLOP utilisation is relative to.</summary>
/// <remarks>A square matrix product in the run's number format, the fastest of as many as fit into 0.2 seconds. It is what libtorch
/// reaches here, on all its threads, not a vendor's figure: data sheets know neither this machine's memory nor its neighbours.</remarks>
internal static class PeakArithmetic
{
    private const double Seconds = 0.2;

    /// <summary>Floating point operations per second of a large matrix product.</summary>
    public static double Measure(Device device, ScalarType type)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        long n = device.type == DeviceType.CUDA ? 4096 : 768;
        Tensor left = ones([n, n], dtype: type, device: device);
        Time(left); // the first product also pays for loading the kernel
        double best = double.MaxValue;
        long start = Stopwatch.GetTimestamp();
        do best = Math.Min(best, Time(left));
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < Seconds);
        return 2.0 * n * n * n / best;
    }

    private static double Time(Tensor left)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        Tensor product = FusedKernels.Linear(left, left); // the product that the models use
        // Reading one value waits for the device.
        product.select(0, 0).select(0, 0).to(ScalarType.Float32).ToSingle();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
