using System.Runtime.InteropServices;
using Trainer.Configuration;
using Trainer.Kernels;

namespace Trainer.Distributed;

/// <summary>NCCL of the system or of the libtorch that runs, loaded by name. Signatures and numbers are those of nccl.h.in, NCCL 2.7 and
/// newer.</summary>
internal sealed unsafe class NcclLibrary
{
    /// <summary>Names the file of the library.</summary>
    internal const string Variable = "TRAINER_NCCL";

    internal const int Sum = 0; // ncclSum

    private const string FileName = "libnccl.so.2";
    private const int Success = 0; // ncclSuccess

    public readonly delegate* unmanaged[Cdecl]<UniqueId*, int> GetUniqueId;
    public readonly delegate* unmanaged[Cdecl]<nint*, int, UniqueId, int, int> CommInitRank;
    public readonly delegate* unmanaged[Cdecl]<nint, int> CommDestroy;
    public readonly delegate* unmanaged[Cdecl]<nint, int> CommAbort;
    public readonly delegate* unmanaged[Cdecl]<nint, int*, int> CommGetAsyncError;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int> AllReduce;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int> Broadcast;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, nuint, int, nint, nint, int> AllGather;
    public readonly delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int> ReduceScatter;
    public readonly delegate* unmanaged[Cdecl]<nint, nuint, int, int, nint, nint, int> Send;
    public readonly delegate* unmanaged[Cdecl]<nint, nuint, int, int, nint, nint, int> Receive;
    public readonly delegate* unmanaged[Cdecl]<int> GroupStart;
    public readonly delegate* unmanaged[Cdecl]<int> GroupEnd;

    private readonly delegate* unmanaged[Cdecl]<int, byte*> getErrorString;

    private NcclLibrary(nint library, string file)
    {
        File = file;
        GetUniqueId = (delegate* unmanaged[Cdecl]<UniqueId*, int>)Export("GetUniqueId");
        CommInitRank = (delegate* unmanaged[Cdecl]<nint*, int, UniqueId, int, int>)Export("CommInitRank");
        CommDestroy = (delegate* unmanaged[Cdecl]<nint, int>)Export("CommDestroy");
        CommAbort = (delegate* unmanaged[Cdecl]<nint, int>)Export("CommAbort");
        CommGetAsyncError = (delegate* unmanaged[Cdecl]<nint, int*, int>)Export("CommGetAsyncError");
        AllReduce = (delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int>)Export("AllReduce");
        Broadcast = (delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int>)Export("Broadcast");
        AllGather = (delegate* unmanaged[Cdecl]<nint, nint, nuint, int, nint, nint, int>)Export("AllGather");
        ReduceScatter = (delegate* unmanaged[Cdecl]<nint, nint, nuint, int, int, nint, nint, int>)Export("ReduceScatter");
        Send = (delegate* unmanaged[Cdecl]<nint, nuint, int, int, nint, nint, int>)Export("Send");
        Receive = (delegate* unmanaged[Cdecl]<nint, nuint, int, int, nint, nint, int>)Export("Recv");
        GroupStart = (delegate* unmanaged[Cdecl]<int>)Export("GroupStart");
        GroupEnd = (delegate* unmanaged[Cdecl]<int>)Export("GroupEnd");
        getErrorString = (delegate* unmanaged[Cdecl]<int, byte*>)Export("GetErrorString");
        int number = 0;
        Check(((delegate* unmanaged[Cdecl]<int*, int>)Export("GetVersion"))(&number), "ncclGetVersion");
        Version = VersionOf(number);

        nint Export(string name) => NativeLibrary.GetExport(library, "nccl" + name);
    }

    public string File { get; }

    public Version Version { get; }

    /// <summary>Loads the library that <see cref="Variable"/> names, or the first of those that libtorch brings and the system's.</summary>
    /// <exception cref="LaunchException">There is none, or what is there is no NCCL.</exception>
    public static NcclLibrary Load()
    {
        string? chosen = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? named : null;
        string[] files = chosen is not null ? [chosen] : [.. Candidates()];
        foreach (string file in files)
            if (NativeLibrary.TryLoad(file, out nint library)) return Open(library, file);
        // A libtorch that is no Python package may have NCCL inside.
        nint torch = chosen is null ? TorchLibrary.Loaded("torch_cuda") : 0;
        if (torch != 0 && NativeLibrary.TryGetExport(torch, "ncclCommInitRank", out _)) return Open(torch, "libtorch_cuda.so");
        throw new LaunchException(chosen is not null
            ? $"{Variable}: {chosen} cannot be loaded as a library; name the file {FileName}, or unset it."
            : $"Several GPUs need NCCL, and {FileName} was not found: install it (apt install libnccl2, or the Python package "
                + $"nvidia-nccl of the libtorch that TRAINER_LIBTORCH names), or name its file by {Variable}.");
    }

    /// <summary>Version and file, or what is missing, for a report on this machine.</summary>
    public static string Describe()
    {
        try
        {
            var library = Load();
            return $"{library.Version} ({library.File})";
        }
        catch (UserException error)
        {
            return Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } ? error.Message : "none; several GPUs need it";
        }
    }

    /// <exception cref="UserException">The code is that of a failure.</exception>
    public void Check(int code, string what)
    {
        if (code != Success) throw new UserException($"{what}: {ErrorText(code)} (NCCL {Version})");
    }

    public string ErrorText(int code) => Marshal.PtrToStringUTF8((nint)getErrorString(code)) ?? $"error {code}";

    /// <summary>NCCL_VERSION of nccl.h: 2804 is 2.8.4, 22703 is 2.27.3.</summary>
    internal static Version VersionOf(int number) =>
        number < 10000 ? new(number / 1000, number / 100 % 10, number % 100) : new(number / 10000, number / 100 % 100, number % 100);

    /// <summary>Where the libraries lie that go with a libtorch: beside it, or where pip puts NVIDIA's packages.</summary>
    internal static IEnumerable<string> Candidates(string libtorch) =>
        libtorch.Length == 0 ? [] :
        [
            Path.Combine(libtorch, FileName),
            Path.GetFullPath(Path.Combine(libtorch, "..", "..", "nvidia", "nccl", "lib", FileName)),
        ];

    private static IEnumerable<string> Candidates() => [.. Candidates(LibTorchLoader.Folder).Where(System.IO.File.Exists), FileName];

    private static NcclLibrary Open(nint library, string file)
    {
        try
        {
            return new(library, file);
        }
        catch (EntryPointNotFoundException error)
        {
            throw new LaunchException($"{file} is no NCCL of version 2.7 or newer: {error.Message}");
        }
    }

    /// <summary>ncclUniqueId: 128 bytes, passed by value.</summary>
    [System.Runtime.CompilerServices.InlineArray(Length)]
    internal struct UniqueId
    {
        public const int Length = 128;

        private byte first;
    }
}
