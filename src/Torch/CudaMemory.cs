using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>What CUDA's caching allocator holds on one device, in bytes.</summary>
/// <param name="Allocated">In use by tensors now.</param>
/// <param name="PeakAllocated">The most that tensors used at once.</param>
/// <param name="Reserved">Taken from the device now, in use or kept for reuse.</param>
/// <param name="PeakReserved">The most that was taken from the device.</param>
public sealed record CudaMemory(long Allocated, long PeakAllocated, long Reserved, long PeakReserved)
{
    /// <summary>Reads the figures of one device.</summary>
    /// <param name="device">The device's index.</param>
    /// <exception cref="TorchException">The shim was built without CUDA.</exception>
    public static unsafe CudaMemory Current(int device = 0)
    {
        var figures = stackalloc long[4];
        Native.Check(NativeMethods.tn_cuda_memory(device, figures));
        return new CudaMemory(figures[0], figures[1], figures[2], figures[3]);
    }

    /// <summary>Lets the peaks of one device count anew from what is held now.</summary>
    /// <param name="device">The device's index.</param>
    /// <exception cref="TorchException">The shim was built without CUDA.</exception>
    public static void ResetPeaks(int device = 0) => Native.Check(NativeMethods.tn_cuda_reset_peak_memory(device));
}
