using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Settings of libtorch that neither TorchSharp nor libtorch's C ABI reaches: functions of C++ by the names that g++ and clang
/// give them.</summary>
/// <remarks>They are set or read where this libtorch exports them, and each member says what holds where it does not, as on
/// Windows.</remarks>
internal static unsafe class TorchContext
{
    private static readonly nint Context = Global();

    // OpenMP's limit of the calling thread, and MKL's.
    private static readonly delegate* unmanaged[Cdecl]<int, void> OmpSetNumThreads = (delegate* unmanaged[Cdecl]<int, void>)OpenMp();
    private static readonly delegate* unmanaged[Cdecl]<int,
        int> MklSetNumThreadsLocal = (delegate* unmanaged[Cdecl]<int, int>)TorchLibrary.OptionalExport("MKL_Set_Num_Threads_Local");

    /// <summary>Lets operations that this thread starts run on so many threads; other threads are not touched. False where only the setting
    /// for all threads is left.</summary>
    public static bool LimitThisThread(int count)
    {
        torch.get_num_threads(); // A thread is set up on its first question, which would undo what follows.
        if (OmpSetNumThreads is null) return false;
        OmpSetNumThreads(count);
        if (MklSetNumThreadsLocal is not null) _ = MklSetNumThreadsLocal(count);
        return true;
    }

    /// <summary>The vector instructions of libtorch's own kernels, such as AVX2; null where it does not tell.</summary>
    public static string? CpuCapability()
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at18get_cpu_capabilityB5cxx11Ev");
        if (export == 0) return null;
        nint* text = stackalloc nint[4]; // std::string: the address of its letters, which are its own where there are few, and their number
        ((delegate* unmanaged[Cdecl]<nint*, nint*>)export)(text);
        return Marshal.PtrToStringUTF8(text[0], (int)text[1]);
    }

    /// <summary>Whether libtorch must take algorithms that give the same bits every time; false where it does not tell.</summary>
    public static bool DeterministicAlgorithms =>
        Exports("_ZNK2at7Context23deterministicAlgorithmsEv") && Get("_ZNK2at7Context23deterministicAlgorithmsEv");

    /// <summary>Sets it; false where it cannot be set.</summary>
    public static bool SetDeterministicAlgorithms(bool enabled)
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at7Context26setDeterministicAlgorithmsEbb");
        if (Context == 0 || export == 0) return false;
        // the last: not as a warning only
        ((delegate* unmanaged[Cdecl]<nint, byte, byte, void>)export)(Context, enabled ? (byte)1 : (byte)0, 0);
        return true;
    }

    /// <summary>Whether deterministic mode fills new tensors with NaN too, a pass over all memory that changes no result. Stays on where it
    /// cannot be set.</summary>
    public static void SetDeterministicFillUninitializedMemory(bool enabled) =>
        Set("_ZN2at7Context39setDeterministicFillUninitializedMemoryEb", enabled);

    /// <summary>Treats denormal numbers as zero on this thread; false where that cannot be.</summary>
    public static bool SetFlushDenormal(bool enabled)
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at7Context16setFlushDenormalEb");
        return Context != 0 && export != 0
            && ((delegate* unmanaged[Cdecl]<nint, byte, byte>)export)(Context, enabled ? (byte)1 : (byte)0) != 0;
    }

    /// <summary>Which kernels of attention libtorch may choose; process-wide. Where it cannot be set, the choice stays free.</summary>
    public static AttentionBackends EnabledAttention
    {
        get
        {
            AttentionBackends enabled = 0;
            foreach (AttentionBackends one in Enum.GetValues<AttentionBackends>())
                if (Get($"_ZNK2at7Context{Named($"userEnabled{one}SDP")}Ev")) enabled |= one;
            return enabled;
        }
        set
        {
            foreach (AttentionBackends one in Enum.GetValues<AttentionBackends>())
                Set($"_ZN2at7Context{Named($"setSDPUse{one}")}Eb", value.HasFlag(one));
        }
    }

    private static bool Exports(string name) => Context != 0 && TorchLibrary.OptionalExport(name) != 0;

    private static bool Get(string name)
    {
        nint export = TorchLibrary.OptionalExport(name);
        return Context == 0 || export == 0 || ((delegate* unmanaged[Cdecl]<nint, byte>)export)(Context) != 0;
    }

    private static void Set(string name, bool enabled)
    {
        nint export = TorchLibrary.OptionalExport(name);
        if (Context != 0 && export != 0) ((delegate* unmanaged[Cdecl]<nint, byte, void>)export)(Context, enabled ? (byte)1 : (byte)0);
    }

    // A name as C++ mangles it: its length first.
    private static string Named(string name) => $"{name.Length}{name}";

    private static nint Global()
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at13globalContextEv");
        return export == 0 ? 0 : ((delegate* unmanaged[Cdecl]<nint>)export)();
    }

    // The library that libtorch_cpu itself uses: on Linux and macOS found through it.
    private static nint OpenMp()
    {
        nint export = TorchLibrary.OptionalExport("omp_set_num_threads");
        return export != 0 || !OperatingSystem.IsWindows() || !NativeLibrary.TryLoad("libiomp5md.dll", out nint library) ? export
            : NativeLibrary.TryGetExport(library, "omp_set_num_threads", out export) ? export : 0;
    }
}

/// <summary>libtorch's kernels of attention, by the names in its settings.</summary>
[Flags]
internal enum AttentionBackends { Flash = 1, MemEfficient = 2, Math = 4, CuDNN = 8 }
