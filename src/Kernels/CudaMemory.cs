namespace Trainer.Kernels;

/// <summary>Bytes taken on one CUDA device, now and at most since the last reset, as its driver counts them: by all processes, with CUDA's
/// own needs and the cache of libtorch's allocator, which gives nothing back between steps. libtorch's own statistics are out of reach of
/// .NET.</summary>
public sealed record CudaMemory(long Allocated, long PeakAllocated)
{
    private static readonly Dictionary<int, long> Peaks = [];

    /// <summary>Reads the figures of one device.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static CudaMemory Current(int device = 0) => Read(device, reset: false);

    /// <summary>Starts a new peak from what is held now.</summary>
    /// <exception cref="TorchException">There is no such device.</exception>
    public static void ResetPeaks(int device = 0) => Read(device, reset: true);

    private static CudaMemory Read(int device, bool reset)
    {
        CudaDevice.CheckIndex(device);
        (long free, long total) = CudaDriver.Memory(device);
        long taken = total - free, peak;
        lock (Peaks) Peaks[device] = peak = reset ? taken : Math.Max(taken, Peaks.GetValueOrDefault(device));
        return new(taken, peak);
    }
}
