using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Keeps the memory of TorchSharp's scalars for a while after it has been freed, on Linux.</summary>
/// <remarks>TorchSharp 0.107 passes the address of a scalar, such as the hidden 1 of <c>x.add(y)</c>, without keeping the object alive. A
/// garbage collection that another thread starts then has the finalizer free what libtorch is about to read: an error, or another scalar's
/// value. Training a small model on two threads failed after half a minute, twice in three runs. libLibTorchSharp frees with C++'s operator
/// delete; the calls that free as much as a scalar come here.</remarks>
internal static unsafe class ScalarMemory
{
    private const nuint ScalarBytes = 32; // sizeof(c10::Scalar)

    // How long, and over how many collections: a call reads its scalars at its beginning. Kept for seconds they cut up glibc's heap: 180
    // MiB where there had been 100.
    private const long Milliseconds = 100;
    private const int Collections = 2;

    private static readonly Lock Gate = new();
    private static readonly Queue<(nint Memory, long Time, int Collections)> Kept = new();
    private static delegate* unmanaged[Cdecl]<void*, nuint, void> free;

    /// <summary>Whether freed scalars are kept.</summary>
    public static bool IsInstalled => free is not null;

    /// <summary>Scalars that are kept.</summary>
    internal static int Count
    {
        get
        {
            lock (Gate) return Kept.Count;
        }
    }

    /// <summary>Has libLibTorchSharp free its scalars here. Once, before the first scalar.</summary>
    /// <param name="torchSharp">The file that is loaded.</param>
    /// <param name="known">An exported function of it.</param>
    /// <param name="address">Where that function is.</param>
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
