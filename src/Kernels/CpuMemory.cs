using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>What native code holds on the CPU, above all tensors, in bytes; of the whole process, on all threads.</summary>
/// <remarks>With glibc this is what malloc has given out, and <see cref="TensorMemory"/>: tensors, what kernels need while they run, and
/// some megabytes of the runtime's own, so differences are what counts. Elsewhere it is the memory in use by the process.</remarks>
/// <param name="Allocated">In use now.</param>
/// <param name="PeakAllocated">The most that was in use: of large tensors whenever one was made, of all else when somebody looked
/// (<see cref="Sample"/>).</param>
public sealed partial record CpuMemory(long Allocated, long PeakAllocated)
{
    // Steps of a training run take the same memory: the first ones tell, and the later ones are spared the question.
    private const int SamplesAfterReset = 5000;

    private static readonly bool HasMallInfo = OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint libc)
        && NativeLibrary.TryGetExport(libc, "mallinfo2", out _);
    private static long peak;
    private static long heap; // beside large tensors, when somebody looked last
    private static int samples;

    /// <summary>Whether tensors are counted; elsewhere the figures are those of the process.</summary>
    public static bool CountsTensors => HasMallInfo;

    /// <summary>Reads the figures.</summary>
    public static CpuMemory Current()
    {
        long now = InUse();
        RaisePeak(now);
        return new(now, Interlocked.Read(ref peak));
    }

    /// <summary>Reads the figures, and begins a new peak.</summary>
    public static CpuMemory ResetPeak()
    {
        CpuMemory before = Current();
        Interlocked.Exchange(ref peak, before.Allocated);
        Interlocked.Exchange(ref samples, SamplesAfterReset);
        return before;
    }

    /// <summary>Looks whether more is in use than ever since the reset; only the first few thousand times. Backward passes of this
    /// project's operations do.</summary>
    public static void Sample()
    {
        if (Volatile.Read(ref samples) > 0 && Interlocked.Decrement(ref samples) >= 0) RaisePeak(InUse());
    }

    /// <summary>Tells that large tensors take more than before.</summary>
    internal static void Raise(long tensors) => RaisePeak(Volatile.Read(ref heap) + tensors);

    private static void RaisePeak(long now)
    {
        for (long seen = Interlocked.Read(ref peak); now > seen;)
        {
            long found = Interlocked.CompareExchange(ref peak, now, seen);
            if (found == seen) return;
            seen = found;
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

    // Ten numbers of glibc's struct mallinfo2: of them, bytes in mappings of their own, and bytes in use in the heaps.
    [StructLayout(LayoutKind.Sequential)]
    private struct MallInfo
    {
        public nuint Arena, FreeChunks, FastChunks, Mappings, Mapped, Unused, FastFree, InUse, Free, Trimmable;
    }
}
