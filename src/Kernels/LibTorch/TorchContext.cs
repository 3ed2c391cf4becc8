using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Settings of libtorch beyond TorchSharp and the C ABI: C++ functions by their mangled names.</summary>
/// <remarks>Where this libtorch does not export them, as on Windows, each member says what holds.</remarks>
internal static unsafe class TorchContext
{
    private static readonly nint Context = Global();

    // The calling thread's limits of OpenMP and MKL.
    private static readonly delegate* unmanaged[Cdecl]<int, void> OmpSetNumThreads = (delegate* unmanaged[Cdecl]<int, void>)OpenMp();
    private static readonly delegate* unmanaged[Cdecl]<int, int> MklSetNumThreadsLocal =
        (delegate* unmanaged[Cdecl]<int, int>)TorchLibrary.OptionalExport("MKL_Set_Num_Threads_Local");

    /// <summary>Limits the threads of operations that this thread starts; false if only the limit for all threads can be set.</summary>
    public static bool LimitThisThread(int count)
    {
        torch.get_num_threads(); // sets the thread up on its first call, which would undo what follows
        if (OmpSetNumThreads is null) return false;
        OmpSetNumThreads(count);
        if (MklSetNumThreadsLocal is not null) _ = MklSetNumThreadsLocal(count);
        return true;
    }

    /// <summary>The vector instructions of libtorch's kernels, such as AVX2; null if unknown.</summary>
    public static string? CpuCapability()
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at18get_cpu_capabilityB5cxx11Ev");
        if (export == 0) return null;
        nint* text = stackalloc nint[4]; // std::string: the address of its characters, inside itself if they are few, and their number
        ((delegate* unmanaged[Cdecl]<nint*, nint*>)export)(text);
        return Marshal.PtrToStringUTF8(text[0], (int)text[1]);
    }

    /// <summary>Whether libtorch must give the same bits every time; false if unknown.</summary>
    public static bool DeterministicAlgorithms =>
        Exports("_ZNK2at7Context23deterministicAlgorithmsEv") && Get("_ZNK2at7Context23deterministicAlgorithmsEv");

    /// <summary>False if it cannot be set.</summary>
    public static bool SetDeterministicAlgorithms(bool enabled)
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at7Context26setDeterministicAlgorithmsEbb");
        if (Context == 0 || export == 0) return false;
        // The last argument would only warn.
        ((delegate* unmanaged[Cdecl]<nint, byte, byte, void>)export)(Context, enabled ? (byte)1 : (byte)0, 0);
        return true;
    }

    /// <summary>Whether deterministic mode fills new tensors with NaN, a pass over memory that changes no result; else stays on.</summary>
    public static void SetDeterministicFillUninitializedMemory(bool enabled) =>
        Set("_ZN2at7Context39setDeterministicFillUninitializedMemoryEb", enabled);

    /// <summary>The attention kernels that libtorch may choose from, process-wide; all if it cannot be set.</summary>
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

    // A mangled C++ name: its length first.
    private static string Named(string name) => $"{name.Length}{name}";

    private static nint Global()
    {
        nint export = TorchLibrary.OptionalExport("_ZN2at13globalContextEv");
        return export == 0 ? 0 : ((delegate* unmanaged[Cdecl]<nint>)export)();
    }

    // libtorch_cpu's own; on Linux and macOS found through it.
    private static nint OpenMp()
    {
        nint export = TorchLibrary.OptionalExport("omp_set_num_threads");
        return export != 0 || !OperatingSystem.IsWindows() || !NativeLibrary.TryLoad("libiomp5md.dll", out nint library) ? export
            : NativeLibrary.TryGetExport(library, "omp_set_num_threads", out export) ? export : 0;
    }
}

/// <summary>libtorch's attention kernels, by the names in its settings.</summary>
[Flags]
internal enum AttentionBackends { Flash = 1, MemEfficient = 2, Math = 4, CuDNN = 8 }
