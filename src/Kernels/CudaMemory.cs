namespace Trainer.Kernels;

/// <summary>What is taken of one CUDA device's memory, in bytes, as its driver tells: by all processes, CUDA's own needs and what
/// libtorch's allocator keeps for reuse included.</summary>
/// <remarks>libtorch's own statistics are not reached from .NET. Since its allocator gives nothing back between steps, what is taken after
/// a step is the most that the step took.</remarks>
/// <param name="Allocated">Taken now.</param>
/// <param name="PeakAllocated">The most that was taken whenever it was read since the last reset.</param>
/// <param name="Reserved">The same as <paramref name="Allocated"/>.</param>
/// <param name="PeakReserved">The same as <paramref name="PeakAllocated"/>.</param>
public sealed record CudaMemory(long Allocated, long PeakAllocated, long Reserved, long PeakReserved)
{
    private static readonly Dictionary<int, long> Peaks = [];

    /// <summary>Reads the figures of one device.</summary>
    /// <param name="device">The device's index.</param>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static CudaMemory Current(int device = 0) => Read(device, reset: false);

    /// <summary>Lets the peaks of one device count anew from what is held now.</summary>
    /// <param name="device">The device's index.</param>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static void ResetPeaks(int device = 0) => Read(device, reset: true);

    private static CudaMemory Read(int device, bool reset)
    {
        CudaDevice.CheckIndex(device);
        (long free, long total) = CudaDriver.Memory(device);
        long taken = total - free, peak;
        lock (Peaks) Peaks[device] = peak = reset ? taken : Math.Max(taken, Peaks.GetValueOrDefault(device));
        return new(taken, peak, taken, peak);
    }
}
