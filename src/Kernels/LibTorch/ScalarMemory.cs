using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Delays freeing TorchSharp's scalars on Linux.</summary>
/// <remarks>TorchSharp 0.107 passes the address of a scalar, such as the hidden 1 of <c>x.add(y)</c>, without keeping the object alive. A
/// garbage collection started by another thread then lets the finalizer free what libtorch is about to read: an error, or another
/// scalar's value. Training a small model on two threads failed after half a minute, twice in three runs. libLibTorchSharp frees with
/// C++'s operator delete; calls of it that free as much as a scalar come here.</remarks>
internal static unsafe class ScalarMemory
{
    private const nuint ScalarBytes = 32; // sizeof(c10::Scalar)

    // How long, and over how many collections: a call reads its scalars at its start. Kept for seconds they fragmented glibc's heap: 180
    // MiB instead of 100.
    private const long Milliseconds = 100;
    private const int Collections = 2;

    private static readonly Lock Gate = new();
    private static readonly Queue<(nint Memory, long Time, int Collections)> Kept = new();
    private static delegate* unmanaged[Cdecl]<void*, nuint, void> free;

    public static bool IsInstalled => free is not null;

    internal static int Count
    {
        get
        {
            lock (Gate) return Kept.Count;
        }
    }

    /// <summary>Redirects the frees of the loaded libLibTorchSharp, in which a known export has this address; before the first
    /// scalar.</summary>
    public static void Install(ElfLibrary torchSharp, string known, nint address)
    {
        const string delete = "_ZdlPvm"; // operator delete(void*, unsigned long)
        if (torchSharp.ValueOf(known) is not { } value || torchSharp.SlotOf(delete) is not { } slot) return;
        if (!NativeLibrary.TryLoad("libstdc++.so.6", out nint standard) || !NativeLibrary.TryGetExport(standard, delete, out nint function))
            return;
        free = (delegate* unmanaged[Cdecl]<void*, nuint, void>)function;
        *(delegate* unmanaged[Cdecl]<void*, nuint, void>*)((byte*)address - value + slot) = &Free;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Free(void* memory, nuint bytes)
    {
        if (bytes != ScalarBytes)
        {
            free(memory, bytes);
            return;
        }
        long now = Environment.TickCount64;
        int collections = GC.CollectionCount(0);
        lock (Gate)
        {
            Kept.Enqueue(((nint)memory, now, collections));
            while (Kept.TryPeek(out var oldest) && now - oldest.Time > Milliseconds && collections - oldest.Collections >= Collections)
                free((void*)Kept.Dequeue().Memory, ScalarBytes);
        }
    }
}
