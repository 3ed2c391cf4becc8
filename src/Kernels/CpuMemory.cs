using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Memory that native code holds on the CPU, mainly tensors, in bytes for the whole process; the peak is exact for large tensors
/// and sampled for the rest (<see cref="Sample"/>).</summary>
/// <remarks>With glibc: what malloc and <see cref="TensorMemory"/> have given out, including some megabytes of the runtime's own, so
/// compare differences. Elsewhere: the memory of the process.</remarks>
public sealed partial record CpuMemory(long Allocated, long PeakAllocated)
{
    // Steps of a training run take the same memory: the first ones tell, and later ones save the call.
    private const int SamplesAfterReset = 5000;

    private static readonly bool HasMallInfo = OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint libc)
        && NativeLibrary.TryGetExport(libc, "mallinfo2", out _);
    private static long peak;
    private static long heap; // besides large tensors, at the last sample
    private static int samples;

    /// <summary>Whether tensors are counted rather than the whole process.</summary>
    public static bool CountsTensors => HasMallInfo;

    /// <summary>Reads the figures.</summary>
    public static CpuMemory Current()
    {
        long now = InUse();
        RaisePeak(now);
        return new(now, Interlocked.Read(ref peak));
    }

    /// <summary>Reads the figures, and starts a new peak.</summary>
    public static CpuMemory ResetPeak()
    {
        CpuMemory before = Current();
        Interlocked.Exchange(ref peak, before.Allocated);
        Interlocked.Exchange(ref samples, SamplesAfterReset);
        return before;
    }

    /// <summary>Updates the peak, the first few thousand times after a reset; backward passes of this project's operations call
    /// it.</summary>
    public static void Sample()
    {
        if (Volatile.Read(ref samples) > 0 && Interlocked.Decrement(ref samples) >= 0) RaisePeak(InUse());
    }

    /// <summary>Updates the peak when large tensors take more.</summary>
    internal static void Raise(long tensors) => RaisePeak(Volatile.Read(ref heap) + tensors);

    private static void RaisePeak(long now)
    {
        for (long known = Interlocked.Read(ref peak); now > known;)
        {
            long found = Interlocked.CompareExchange(ref peak, now, known);
            if (found == known) return;
            known = found;
        }
    }

    private static long InUse()
    {
        if (HasMallInfo)
        {
            MallInfo info = mallinfo2();
            Volatile.Write(ref heap, (long)(info.InUse + info.Mapped));
            return heap + TensorMemory.InUse;
        }

        using Process process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    [LibraryImport("libc.so.6")]
    private static partial MallInfo mallinfo2();

    // glibc's struct mallinfo2; Mapped and InUse are bytes in mappings of their own and in the heaps.
    [StructLayout(LayoutKind.Sequential)]
    private struct MallInfo
    {
        public nuint Arena, FreeChunks, FastChunks, Mappings, Mapped, Unused, FastFree, InUse, Free, Trimmable;
    }
}
