using System.Diagnostics;
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>The measured peak of a device, to which MFU refers: FLOP/s of the fastest square matrix product in the run's number format
/// within 0.1 seconds, with all threads.</summary>
internal static class PeakFlops
{
    private const double Seconds = 0.1;

    // A GPU is done with one product before the host has asked for its result.
    private const int AtOnce = 8;

    public static double Measure(Device device, ScalarType type)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        long n = device.type == DeviceType.CUDA ? 4096 : 768;
        int count = device.type == DeviceType.CUDA ? AtOnce : 1;
        Tensor left = ones([n, n], dtype: type, device: device);
        Func<Tensor> product = Product(left);
        Time(product, 1); // the first product also pays for loading the kernel
        double best = double.MaxValue;
        long start = Stopwatch.GetTimestamp();
        do best = Math.Min(best, Time(product, count));
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < Seconds);
        return 2.0 * n * n * n * count / best;
    }

    // The product that the models use.
    private static Func<Tensor> Product(Tensor left)
    {
        if (left.dtype != ScalarType.BFloat16 || left.device.type != DeviceType.CPU) return () => MixedPrecisionLinear.Apply(left, left);
        Tensor master = left.to_type(ScalarType.Float32);
        return () => MixedPrecisionLinear.ApplyRounded(left, master, left);
    }

    private static double Time(Func<Tensor> multiply, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        long start = Stopwatch.GetTimestamp();
        Tensor product = multiply();
        for (int i = 1; i < count; i++)
        {
            product.Dispose();
            product = multiply();
        }
        // Reading one value waits for the device.
        product.select(0, 0).select(0, 0).to(ScalarType.Float32).ToSingle();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
