using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>The memory of large tensors on Linux: blocks of a few sizes, reused and counted.</summary>
/// <remarks>A training step frees nearly all that it allocates, and the next one needs it again. glibc either returns large blocks to the
/// kernel, and gets them back page by page, or splits them for smaller ones: a run whose tensors took 93 MiB grew to 413. libtorch
/// allocates with posix_memalign, in libc10 alone; those calls come here. A block serves requests up to three eighths smaller, so that
/// there are few sizes; unused blocks go back to the kernel, the longest unused first.</remarks>
internal static unsafe partial class TensorMemory
{
    // Smaller requests are left to the C library; blocks begin and end at multiples of a chunk.
    private const long Smallest = 1 << 18, Chunk = 1 << 16;

    // Size classes from one power of two to the next; a block may serve requests this many classes smaller.
    private const int StepsOfTwo = 8, StepsLarger = 4;

    // Tensors begin at different offsets within a page: processors mistake accesses to the same offset of two pages for related ones.
    private const int Places = 32, PlaceBytes = 64, PlaceRoom = Places * PlaceBytes;

    // Unused memory may be a sixteenth of the peak, plus this, plus whatever was needed again after it had been returned, so that a run
    // soon stops returning what its next step needs.
    private const long Spare = 16L << 20;

    private const int OutOfMemory = 12; // ENOMEM

    private static readonly Lock Gate = new();
    private static readonly List<Stack<int>> Free = [];
    private static readonly Queue<(int Block, uint Stamp)> Unused = new();

    private static delegate* unmanaged[Cdecl]<void**, nuint, nuint, int> allocateElsewhere;
    private static delegate* unmanaged[Cdecl]<void*, void> freeElsewhere;
    private static byte* region;
    private static long regionBytes, largest; // in all, and of one tensor
    private static ushort* kinds; // of each block, by its first chunk
    private static long* sizes; // of the tensor in it
    private static uint* stamps; // counts takes and frees of a block; the highest bit: its pages were returned
    private static int next; // the first chunk that no block has yet
    private static int places;
    // bytes: of tensors; of their blocks, now and at most; of unused blocks with pages; returned and then needed again
    private static long inUse, taken, mostTaken, unusedBytes, wantedAgain;

    public static bool IsInstalled => region is not null;

    /// <summary>Bytes of tensors.</summary>
    public static long InUse => Volatile.Read(ref inUse);

    /// <summary>Redirects the allocations of the loaded libc10, in which a known export has this address; before the first
    /// tensor.</summary>
    public static void Install(ElfLibrary libc10, string known, nint address)
    {
        if (libc10.ValueOf(known) is not { } value || libc10.SlotOf("posix_memalign") is not { } allocate
            || libc10.SlotOf("free") is not { } free) return;
        byte* start = (byte*)address - value;
        largest = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        regionBytes = Math.Max(64L << 30, 4 * largest) / Chunk * Chunk;
        void* reserved = mmap(null, (nuint)regionBytes, ReadWrite, PrivateAnonymousUncounted, -1, 0);
        if ((nint)reserved == -1) return; // address space is limited, or may not be promised twice
        madvise(reserved, (nuint)regionBytes, NotInDumps);
        nint c = NativeLibrary.Load("libc.so.6");
        allocateElsewhere = (delegate* unmanaged[Cdecl]<void**, nuint, nuint, int>)NativeLibrary.GetExport(c, "posix_memalign");
        freeElsewhere = (delegate* unmanaged[Cdecl]<void*, void>)NativeLibrary.GetExport(c, "free");
        kinds = (ushort*)NativeMemory.AllocZeroed((nuint)(regionBytes / Chunk), sizeof(ushort));
        sizes = (long*)NativeMemory.AllocZeroed((nuint)(regionBytes / Chunk), sizeof(long));
        stamps = (uint*)NativeMemory.AllocZeroed((nuint)(regionBytes / Chunk), sizeof(uint));
        region = (byte*)reserved;
        *(delegate* unmanaged[Cdecl]<void**, nuint, nuint, int>*)(start + allocate) = &Allocate;
        *(delegate* unmanaged[Cdecl]<void*, void>*)(start + free) = &Release;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Allocate(void** result, nuint alignment, nuint bytes)
    {
        // More than the machine has must be asked of the system, which refuses it: it does not account for the region.
        if (bytes < (nuint)Smallest || bytes > (nuint)largest || alignment > PlaceBytes) return allocateElsewhere(result, alignment, bytes);
        byte* memory;
        try
        {
            memory = Take((long)bytes);
        }
        catch (OutOfMemoryException)
        {
            return OutOfMemory;
        }
        if (memory is null) return allocateElsewhere(result, alignment, bytes);
        *result = memory;
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Release(void* memory)
    {
        if ((byte*)memory < region || (byte*)memory >= region + regionBytes) freeElsewhere(memory);
        else Give((byte*)memory);
    }

    private static byte* Take(long bytes)
    {
        int kind = KindOf(bytes + PlaceRoom);
        lock (Gate)
        {
            while (Free.Count <= kind + StepsLarger) Free.Add(new());
            int block = -1;
            for (int larger = kind; larger <= kind + StepsLarger && block < 0; larger++)
                if (Free[larger].TryPop(out int found)) block = found;
            if (block < 0)
            {
                if ((next + BytesOf(kind) / Chunk) * Chunk > regionBytes) return null;
                GiveBack(BytesOf(kind));
                block = next;
                next += (int)(BytesOf(kind) / Chunk);
                kinds[block] = (ushort)kind;
            }
            else if (IsHeld(block))
            {
                unusedBytes -= BytesOf(kinds[block]);
            }
            else
            {
                wantedAgain += BytesOf(kinds[block]);
                GiveBack(BytesOf(kinds[block]));
            }
            stamps[block]++;
            sizes[block] = bytes;
            inUse += bytes;
            taken += BytesOf(kinds[block]);
            mostTaken = Math.Max(mostTaken, taken);
            CpuMemory.Raise(inUse);
            places = (places + 1) % Places;
            return region + block * Chunk + places * PlaceBytes;
        }
    }

    private static void Give(byte* memory)
    {
        int block = (int)((memory - region) / Chunk);
        lock (Gate)
        {
            int kind = kinds[block];
            inUse -= sizes[block];
            taken -= BytesOf(kind);
            unusedBytes += BytesOf(kind);
            stamps[block]++;
            Unused.Enqueue((block, stamps[block]));
            Free[kind].Push(block);
            // Most of the queue has been taken since.
            if (Unused.Count > 4096 && Unused.Count > 8 * Free.Sum(blocks => blocks.Count)) Tidy();
        }
    }

    // Called before more is taken from the kernel.
    private static void GiveBack(long wanted)
    {
        wantedAgain = Math.Min(wantedAgain, mostTaken);
        long allowed = Math.Max(mostTaken, taken + wanted) * 17 / 16 + Spare + wantedAgain;
        while (taken + wanted + unusedBytes > allowed && Unused.TryDequeue(out (int Block, uint Stamp) oldest))
        {
            if (stamps[oldest.Block] != oldest.Stamp) continue; // taken since
            madvise(region + oldest.Block * Chunk, (nuint)BytesOf(kinds[oldest.Block]), NotNeeded);
            stamps[oldest.Block] = oldest.Stamp | 1u << 31;
            unusedBytes -= BytesOf(kinds[oldest.Block]);
        }
    }

    private static void Tidy()
    {
        for (int left = Unused.Count; left > 0; left--)
        {
            (int Block, uint Stamp) entry = Unused.Dequeue();
            if (stamps[entry.Block] == entry.Stamp) Unused.Enqueue(entry);
        }
    }

    // Whether its pages are present; clears the mark of returned ones.
    private static bool IsHeld(int block)
    {
        bool held = stamps[block] >> 31 == 0;
        stamps[block] &= ~(1u << 31);
        return held;
    }

    // Eight size classes from each power of two to the next.
    internal static int KindOf(long bytes)
    {
        long steps = (bytes - 1) / Chunk;
        int power = steps < StepsOfTwo ? 0 : 63 - 3 - BitOperations.LeadingZeroCount((ulong)steps);
        return power == 0 ? (int)steps : power * StepsOfTwo + (int)(steps >> power);
    }

    internal static long BytesOf(int kind)
    {
        int power = Math.Max(0, kind / StepsOfTwo - 1);
        long steps = power == 0 ? kind : kind - power * StepsOfTwo;
        return ((steps << power) + (1L << power)) * Chunk;
    }

    // PROT_…, MAP_… with MAP_NORESERVE, MADV_…
    private const int ReadWrite = 3, PrivateAnonymousUncounted = 0x4022, NotNeeded = 4, NotInDumps = 16;

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
