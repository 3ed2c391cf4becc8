using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Memory that a loop needs while it runs; each thread keeps its own for the next loop.</summary>
internal unsafe ref struct Scratch
{
    // Anything larger is freed at once.
    private const long MostKept = 64 << 20;

    // Arrays begin at cache lines, but not all at the same offset within a page.
    private const int Line = 16;

    [ThreadStatic] private static Memory? kept;

    private readonly Memory? memory; // null by default: no arrays
    private float* next;

    /// <summary>Room for so many float32 numbers in at most so many arrays.</summary>
    public Scratch(long numbers, int arrays)
    {
        long bytes = sizeof(float) * (numbers + 2L * Line * arrays);
        Memory? found = kept;
        kept = null; // a loop within this one takes other memory
        if (found is null || found.Bytes < bytes)
        {
            found?.Free();
            found = new(bytes);
        }
        memory = found;
        next = (float*)found.Address;
    }

    /// <summary>An uninitialised array.</summary>
    public float* Take(long numbers)
    {
        float* taken = next;
        next += (numbers + Line - 1) / Line * Line + Line;
        return taken;
    }

    public readonly void Dispose()
    {
        if (memory is null) return;
        if (memory.Bytes > MostKept || kept is not null) memory.Free();
        else kept = memory;
    }

    private sealed class Memory(long bytes)
    {
        public long Bytes { get; } = bytes;

        public void* Address { get; private set; } = NativeMemory.AlignedAlloc((nuint)bytes, 64);

        ~Memory() => Free();

        public void Free()
        {
            NativeMemory.AlignedFree(Address);
            Address = null;
            GC.SuppressFinalize(this);
        }
    }
}
