using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Memory that a loop needs only while it runs; each thread keeps its own for the next loop.</summary>
internal unsafe ref struct Scratch
{
    // What is larger is given back at once.
    private const long MostKept = 64 << 20;

    // Arrays begin at lines of the cache, and not all at the same distance of a page.
    private const int Line = 16;

    [ThreadStatic] private static Memory? kept;

    private readonly Memory memory;
    private float* next;

    /// <summary>Takes memory.</summary>
    /// <param name="numbers">Float32 numbers in all.</param>
    /// <param name="arrays">Into how many arrays they are cut, at most.</param>
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

    /// <summary>An array, whose numbers may be anything.</summary>
    public float* Take(long numbers)
    {
        float* taken = next;
        next += (numbers + Line - 1) / Line * Line + Line;
        return taken;
    }

    public readonly void Dispose()
    {
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
