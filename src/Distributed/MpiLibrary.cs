using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Distributed;

/// <summary>Constants of an MPI library. Open MPI's handles are addresses of its variables; MPICH's are numbers; MPI 5 has small
/// ones.</summary>
/// <remarks>MPICH's handles have 32 bits. They are passed in 64, of which it reads the lower ones; those that it writes land in zeroed
/// memory. So all three share their signatures.</remarks>
internal readonly record struct MpiConstants(
    nint World, nint Byte, nint UInt16, nint Int64, nint Float, nint Double, nint Sum, nint ErrorsReturn, nint NoInfo, nint InPlace,
    int SharedMemory, int Funneled, int AnySource)
{
    /// <summary>mpi.h of Open MPI 4.1.4.</summary>
    public static MpiConstants OpenMpi(nint library)
    {
        return new(
            Export("comm_world"), Export("byte"), Export("uint16_t"), Export("int64_t"), Export("float"), Export("double"),
            Export("op_sum"), Export("errors_return"), Export("info_null"), InPlace: 1, SharedMemory: 0, Funneled: 1, AnySource: -1);
        nint Export(string name) => NativeLibrary.GetExport(library, "ompi_mpi_" + name);
    }

    /// <summary>mpi.h of MPICH 4.0.2, whose binary interface MPICH, Intel MPI, Cray MPICH and MVAPICH2 share since 2014.</summary>
    public static MpiConstants Mpich { get; } = new(
        World: 0x44000000, Byte: 0x4c00010d, UInt16: 0x4c00023c, Int64: 0x4c00083a, Float: 0x4c00040a, Double: 0x4c00080b,
        Sum: 0x58000003, ErrorsReturn: 0x54000001, NoInfo: 0x1c000000, InPlace: -1, SharedMemory: 1, Funneled: 1, AnySource: -2);

    /// <summary>The binary interface of the MPI 5.0 standard, mpi.h of mpi-forum/mpi-abi-stubs since 2025-10, which corrected it.</summary>
    public static MpiConstants StandardAbi { get; } = new(
        World: 0x101, Byte: 0x247, UInt16: 0x249, Int64: 0x258, Float: 0x210, Double: 0x214, Sum: 0x21, ErrorsReturn: 0x143, NoInfo: 0x130,
        InPlace: 1, SharedMemory: 221, Funneled: 1024, AnySource: -1);
}

/// <summary>An MPI library of the system, loaded by name.</summary>
internal sealed unsafe partial class MpiLibrary
{
    /// <summary>Names the file of the MPI library.</summary>
    internal const string Variable = "TRAINER_MPI";

    private const int LongestText = 8192; // MPI_MAX_LIBRARY_VERSION_STRING of MPICH, the longest of the three

    private readonly nint library;
    private readonly delegate* unmanaged[Cdecl]<int, byte*, int*, int> errorString;

    public readonly delegate* unmanaged[Cdecl]<int*, byte***, int, int*, int> InitThread;
    public readonly delegate* unmanaged[Cdecl]<int> Finalize;
    public readonly delegate* unmanaged[Cdecl]<nint, int, int> Abort;
    public readonly delegate* unmanaged[Cdecl]<nint, int*, int> CommRank;
    public readonly delegate* unmanaged[Cdecl]<nint, int*, int> CommSize;
    public readonly delegate* unmanaged[Cdecl]<nint, int, int, nint, nint*, int> CommSplitType;
    public readonly delegate* unmanaged[Cdecl]<nint*, int> CommFree;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, int> CommSetErrorHandler;
    public readonly delegate* unmanaged[Cdecl]<nint*, int*, byte*, int> Test;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, int, nint, nint, nint, nint*, int> IAllReduce;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, int, nint, nint, nint, nint*, int> IReduceScatterBlock;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, int, nint, nint*, int> IBroadcast;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, int, nint, nint*, int> IGather;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, nint, nint*, int> IAllGather;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, nint, int*, int*, nint, nint, nint*, int> IAllGatherV;
    public readonly delegate* unmanaged[Cdecl]<nint, int*, int*, nint, nint, int*, int*, nint, nint, nint*, int> IAllToAllV;
    public readonly delegate* unmanaged[Cdecl]<nint, nint*, int> IBarrier;
    public readonly delegate* unmanaged[Cdecl]<int, int, nint, int*, byte*, int> IProbe;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, int> Send;
    public readonly delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, byte*, int> Receive;

    private MpiLibrary(nint library, string file)
    {
        (this.library, File) = (library, file);
        errorString = (delegate* unmanaged[Cdecl]<int, byte*, int*, int>)Export("Error_string");
        InitThread = (delegate* unmanaged[Cdecl]<int*, byte***, int, int*, int>)Export("Init_thread");
        Finalize = (delegate* unmanaged[Cdecl]<int>)Export("Finalize");
        Abort = (delegate* unmanaged[Cdecl]<nint, int, int>)Export("Abort");
        CommRank = (delegate* unmanaged[Cdecl]<nint, int*, int>)Export("Comm_rank");
        CommSize = (delegate* unmanaged[Cdecl]<nint, int*, int>)Export("Comm_size");
        CommSplitType = (delegate* unmanaged[Cdecl]<nint, int, int, nint, nint*, int>)Export("Comm_split_type");
        CommFree = (delegate* unmanaged[Cdecl]<nint*, int>)Export("Comm_free");
        CommSetErrorHandler = (delegate* unmanaged[Cdecl]<nint, nint, int>)Export("Comm_set_errhandler");
        Test = (delegate* unmanaged[Cdecl]<nint*, int*, byte*, int>)Export("Test");
        IAllReduce = (delegate* unmanaged[Cdecl]<nint, nint, int, nint, nint, nint, nint*, int>)Export("Iallreduce");
        IReduceScatterBlock =
            (delegate* unmanaged[Cdecl]<nint, nint, int, nint, nint, nint, nint*, int>)Export("Ireduce_scatter_block");
        IBroadcast = (delegate* unmanaged[Cdecl]<nint, int, nint, int, nint, nint*, int>)Export("Ibcast");
        IGather = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, int, nint, nint*, int>)Export("Igather");
        IAllGather = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int, nint, nint, nint*, int>)Export("Iallgather");
        IAllGatherV = (delegate* unmanaged[Cdecl]<nint, int, nint, nint, int*, int*, nint, nint, nint*, int>)Export("Iallgatherv");
        IAllToAllV =
            (delegate* unmanaged[Cdecl]<nint, int*, int*, nint, nint, int*, int*, nint, nint, nint*, int>)Export("Ialltoallv");
        IBarrier = (delegate* unmanaged[Cdecl]<nint, nint*, int>)Export("Ibarrier");
        IProbe = (delegate* unmanaged[Cdecl]<int, int, nint, int*, byte*, int>)Export("Iprobe");
        Send = (delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, int>)Export("Send");
        Receive = (delegate* unmanaged[Cdecl]<nint, int, nint, int, int, nint, byte*, int>)Export("Recv");
        Name = ShortName(Version());
        Kind = HasStandardAbi() ? MpiKind.StandardAbi
            : NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _) ? MpiKind.OpenMpi : MpiKind.Mpich;
        Constants = Kind switch
        {
            MpiKind.OpenMpi => MpiConstants.OpenMpi(library),
            MpiKind.Mpich => MpiConstants.Mpich,
            _ => MpiConstants.StandardAbi,
        };
    }

    /// <summary>As it was asked for: a name, or the path that <see cref="Variable"/> has.</summary>
    public string File { get; }

    /// <summary>Such as <c>Open MPI 4.1.4</c>.</summary>
    public string Name { get; }

    public MpiKind Kind { get; }

    public MpiConstants Constants { get; }

    /// <summary>Loads a library; null if there is none of that name.</summary>
    /// <exception cref="LaunchException">It is no MPI library, or one with unknown handles.</exception>
    public static MpiLibrary? TryLoad(string file)
    {
        LeaveSignalsAlone();
        if (!NativeLibrary.TryLoad(file, out nint library)) return null;
        try
        {
            return new(library, file);
        }
        catch (EntryPointNotFoundException error)
        {
            throw new LaunchException($"{file} is no MPI library of version 3 or newer: it lacks {Missing(error)}.");
        }
    }

    /// <summary>Loads the first of several that is there; null if none is.</summary>
    public static MpiLibrary? TryLoad(IEnumerable<string> files) => files.Select(TryLoad).FirstOrDefault(library => library is not null);

    /// <summary>The text of an error code.</summary>
    public string ErrorText(int code)
    {
        byte* text = stackalloc byte[LongestText];
        int length;
        return errorString(code, text, &length) == 0 ? OneLine(Encoding.UTF8.GetString(text, length)) : $"error {code}";
    }

    /// <summary>The name within a library's own description of itself.</summary>
    internal static string ShortName(string version) =>
        KnownName().Match(version) is { Success: true } match
            ? $"{match.Groups[1].Value} {match.Groups[2].Value}"
            : OneLine(version.Split('\n')[0]);

    private static string Missing(EntryPointNotFoundException error) => QuotedName().Match(error.Message).Value.Trim('\'');

    private nint Export(string name) => NativeLibrary.GetExport(library, "MPI_" + name);

    private string Version()
    {
        byte* text = stackalloc byte[LongestText];
        int length;
        return ((delegate* unmanaged[Cdecl]<byte*, int*, int>)Export("Get_library_version"))(text, &length) == 0
            ? Encoding.UTF8.GetString(text, length) : "MPI";
    }

    // A library with handles of its own has the function too, and answers −1.
    private bool HasStandardAbi()
    {
        int major = -1, minor;
        return NativeLibrary.TryGetExport(library, "MPI_Abi_get_version", out nint version)
            && ((delegate* unmanaged[Cdecl]<int*, int*, int>)version)(&major, &minor) == 0 && major >= 1;
    }

    // UCX, which is below MPICH, takes over SIGSEGV, by which .NET finds null references. It reads the process's own environment,
    // which Environment.SetEnvironmentVariable does not change.
    private static void LeaveSignalsAlone()
    {
        if (OperatingSystem.IsWindows()) return;
        _ = setenv("UCX_HANDLE_ERRORS", "none", 0);
        _ = setenv("UCX_ERROR_SIGNALS", "", 0);
    }

    private static string OneLine(string text) => Blanks().Replace(text.Trim(), " ");

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    [GeneratedRegex(@"(Open MPI|MPICH|MVAPICH2?|Intel\(R\) MPI Library)(?: Version)?\s*:?\s*v?(\d[\w.]*)")]
    private static partial Regex KnownName();

    [GeneratedRegex("'[^']*'")]
    private static partial Regex QuotedName();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
