using Trainer.Torch.Interop;

namespace Trainer.Torch;

/// <summary>What tensors take on the CPU, in bytes; of the whole process, on all threads.</summary>
/// <remarks>Counted are the tensors themselves. What kernels need while they run, and what the C library keeps for the next allocation, is not.</remarks>
/// <param name="Allocated">In use now.</param>
/// <param name="PeakAllocated">The most that was in use at once.</param>
public sealed record CpuMemory(long Allocated, long PeakAllocated)
{
    /// <summary>Reads the figures.</summary>
    public static CpuMemory Current() => Read(reset: 0);

    /// <summary>Reads the figures, and begins a new peak.</summary>
    public static CpuMemory ResetPeak() => Read(reset: 1);

    private static unsafe CpuMemory Read(int reset)
    {
        var figures = stackalloc long[2];
        NativeMethods.tn_cpu_memory(figures, reset);
        return new(figures[0], figures[1]);
    }
}
