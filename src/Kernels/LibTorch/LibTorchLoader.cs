using System.Runtime.InteropServices;
using System.Runtime.Loader;
using static System.Runtime.InteropServices.NativeLibrary;

namespace Trainer.Kernels;

/// <summary>Loads libtorch and TorchSharp's native part, and sets what must be set before the first tensor.</summary>
/// <remarks><c>LibTorch.targets</c> compiles a call of <see cref="LoadOnFirstUse"/> into programs, so <see cref="Load"/> precedes anything
/// of TorchSharp's. TorchSharp then asks for its libraries by name and gets those already loaded.</remarks>
public static class LibTorchLoader
{
    /// <summary>Names the folder of another libtorch, such as the <c>torch/lib</c> of a Python installation. Linux only.</summary>
    internal const string FolderVariable = "TRAINER_LIBTORCH";

    // Marks every object file of g++ 13 and newer that includes <iostream>. Nothing calls it, but its version keeps the system's loader
    // from accepting an older libstdc++ (Debian 12, Ubuntu 22.04).
    private const string StreamsMarker = "_ZSt21ios_base_library_initv", StreamsVersion = "GLIBCXX_3.4.32";

    /// <summary>What this program calls in libtorch itself, by <see cref="TorchLibrary.Export"/>.</summary>
    internal static readonly string[] OwnCalls =
    [
        "aoti_torch_create_device_guard", "aoti_torch_delete_tensor_object", "aoti_torch_new_tensor_handle", "torch_call_dispatcher",
        "torch_delete_list", "torch_list_get_item", "torch_list_push_back", "torch_new_list_reserve_size",
    ];

    private static readonly System.Version Oldest = new(2, 10);
    private static readonly Lock Loading = new();
    private static LibTorchLoadException? failure;
    private static IntPtr libtorch, torchSharp;
    private static MissingSymbols missing = new([], _ => true);

    /// <summary>Where libtorch was loaded from; empty before <see cref="Load"/>.</summary>
    public static string Folder { get; private set; } = "";

    /// <summary>Whether <see cref="FolderVariable"/> chose it rather than the build.</summary>
    internal static bool IsForeign { get; private set; }

    /// <summary>Such as <c>2.10.0</c>, or <c>2.14.0+cu130</c> for one of Python's.</summary>
    public static string Version { get; private set; } = "";

    internal static bool HasCuda { get; private set; }

    /// <summary>Whether operations can have a backward pass in C#: newer libtorches lack what TorchSharp needs for it.</summary>
    internal static bool HasAutogradFunctions => missing.AutogradFunctions.Count == 0;

    /// <summary>In words, what TorchSharp could call and this libtorch lacks; null if nothing.</summary>
    public static string? Lacks => missing.Description;

    /// <summary>Whether TorchSharp's native part was patched to run on an older libstdc++.</summary>
    internal static bool IsAdapted { get; private set; }

    /// <summary>Calls <see cref="Load"/> once something needs it; if that fails, prints one line and exits with 1.</summary>
    /// <remarks>TorchSharp would catch the failure, copy the package beside the program and print two pages.</remarks>
    public static void LoadOnFirstUse()
    {
        // Before TorchSharp looks into LD_LIBRARY_PATH.
        AppDomain.CurrentDomain.AssemblyLoad += (_, loaded) =>
        {
            if (loaded.LoadedAssembly.GetName().Name == "TorchSharp") LoadOrExit();
        };
        // Another thread may be faster than that handler.
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) =>
        {
            if (name is not ("torch_cpu" or "LibTorchSharp")) return IntPtr.Zero;
            LoadOrExit();
            return name == "torch_cpu" ? libtorch : torchSharp;
        };
    }

    private static void LoadOrExit()
    {
        try
        {
            Load();
        }
        catch (LibTorchLoadException error)
        {
            Console.Error.WriteLine(error.Message);
            Environment.Exit(1);
        }
    }

    /// <summary>Loads libtorch, once. Thread-safe.</summary>
    /// <exception cref="LibTorchLoadException">There is none for the platform, a file is missing or refused, or the version does not
    /// fit.</exception>
    internal static void Load()
    {
        lock (Loading)
        {
            if (torchSharp != IntPtr.Zero) return;
            if (failure is not null) throw failure;
            try
            {
                torchSharp = OperatingSystem.IsLinux() ? LoadOnLinux() : LoadElsewhere();
                SetThreads();
            }
            catch (LibTorchLoadException error)
            {
                failure = error;
                throw;
            }
        }
    }

    // c10::alloc_cpu(unsigned long), of libc10.
    private const string Allocator = "_ZN3c109alloc_cpuEm";

    private const string ThreadsSetter = "THSTorch_set_num_threads";

    private static IntPtr LoadOnLinux()
    {
        var isSupported = RuntimeInformation.ProcessArchitecture == Architecture.X64
            && !RuntimeInformation.RuntimeIdentifier.Contains("musl");
        if (!isSupported) throw Unsupported();
        var own = Path.Combine(AppContext.BaseDirectory, "libtorch");
        Folder = Choose(own);
        CLibrary.KeepMemoryBetweenSteps();
        // In the order of their dependencies: each finds the others loaded, and LD_LIBRARY_PATH has no say.
        foreach (var name in (string[])["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"])
            if (!name.Contains("cuda") || File.Exists(Path.Combine(Folder, name))) libtorch = LoadFile(Path.Combine(Folder, name));
        if (!CLibrary.IsTunedByUser && TryGetExport(libtorch, Allocator, out var allocator))
            TensorMemory.Install(new ElfLibrary(File.ReadAllBytes(Path.Combine(Folder, "libc10.so"))), Allocator, allocator);
        HasCuda = File.Exists(Path.Combine(Folder, "libtorch_cuda.so"));
        if (IsForeign && HasCuda) LoadRuntimeCompiler();
        Version = VersionOf();
        IntPtr library;
        try
        {
            library = LoadTorchSharp(Path.Combine(own, "libLibTorchSharp.so"));
        }
        finally
        {
            CLibrary.ExitWithoutDestructors(); // also of a libtorch that is refused
        }
        SignalStack.Ensure();
        return library;
    }

    // cuDNN asks for NVRTC by its bare name. Python's wheels have it in a folder of its own, and Python's torch loads it beforehand, too.
    private static void LoadRuntimeCompiler()
    {
        var packages = Path.Combine(Folder, "..", "..", "nvidia");
        if (!Directory.Exists(packages)) return;
        foreach (var folder in Directory.GetDirectories(packages).Select(package => Path.Combine(package, "lib")).Where(Directory.Exists))
            foreach (var file in Directory.GetFiles(folder, "libnvrtc.so.*")) TryLoad(file, out _);
    }

    private static string Choose(string own)
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is not { Length: > 0 } foreign)
            return HasLibrary(own) ? own : throw new LibTorchLoadException(File.Exists(Path.Combine(own, "libLibTorchSharp.so"))
                ? $"This program has no libtorch of its own: set {FolderVariable} to the folder of one, such as …/site-packages/torch/lib."
                : $"{own} has no libtorch_cpu.so: build the program again (dotnet build).");
        IsForeign = true;
        var folder = Path.GetFullPath(foreign);
        if (HasLibrary(folder)) return folder;
        var inside = Path.Combine(folder, "lib");
        var found = Directory.Exists(folder) ? "has no libtorch_cpu.so" : "does not exist";
        var advice = HasLibrary(inside) ? $"set it to {inside}"
            : "name the folder that has it, such as …/site-packages/torch/lib, or unset it";
        throw new LibTorchLoadException($"{FolderVariable}: {folder} {found}; {advice}.");
    }

    private static bool HasLibrary(string folder) => File.Exists(Path.Combine(folder, "libtorch_cpu.so"));

    private static IntPtr LoadTorchSharp(string path) => Try(path, () =>
    {
        var isOld = TryLoad("libstdc++.so.6", out var standard) && !TryGetExport(standard, StreamsMarker, out _);
        var library = new ElfLibrary(File.ReadAllBytes(path));
        if (IsForeign) Check(library);
        IsAdapted = isOld && library.Weaken(StreamsVersion);
        var loaded = IsAdapted ? CLibrary.LoadFromMemory("libLibTorchSharp.so", library.Bytes) : NativeLibrary.Load(path);
        ScalarMemory.Install(library, ThreadsSetter, GetExport(loaded, ThreadsSetter));
        return loaded;
    });

    /// <summary>Throws where libtorch lacks what a backward pass in C# takes: a call would end the process.</summary>
    internal static void RequireAutogradFunctions()
    {
        if (HasAutogradFunctions) return;
        throw new TorchException($"{Version} in {Folder} lacks {Some(missing.AutogradFunctions)}, which an operation of this model "
            + $"with a backward pass in C# needs; use one nearer to 2.10 ({FolderVariable})");
    }

    private static void Check(ElfLibrary library)
    {
        if (IsTooOld(Version))
            throw new LibTorchLoadException(
                $"{FolderVariable}: libtorch {Version} in {Folder} is too old; name one of {Oldest} or newer, or unset it.");
        missing = new(
            [.. library.RequiredSymbols(), .. OwnCalls], symbol => symbol == StreamsMarker || TryGetExport(libtorch, symbol, out _));
        if (missing.Needed.Count == 0) return;
        throw new LibTorchLoadException(
            $"{FolderVariable}: libtorch {Version} in {Folder} lacks {Some(missing.Needed)}, which this program calls; "
            + $"use one nearer to {Oldest}, or unset it.");
    }

    /// <summary>Whether a <see cref="Version"/> is older than this program needs; one without a number is not.</summary>
    internal static bool IsTooOld(string version)
    {
        var end = version.AsSpan().IndexOfAnyExcept("0123456789.");
        var number = (end < 0 ? version : version[..end]).TrimEnd('.'); // of 2.10.0a0 and 2.10.0.dev20251201, too
        return System.Version.TryParse(number, out var parsed) && parsed < Oldest;
    }

    private static string Some(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(3)) + (names.Count > 3 ? $" and {names.Count - 3} more" : "");

    private static IntPtr LoadElsewhere()
    {
        var isArmMac = OperatingSystem.IsMacOS() && RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
        if (!isArmMac && !OperatingSystem.IsWindows()) throw Unsupported();
        if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 })
            throw new LibTorchLoadException($"{FolderVariable} is for Linux only; unset it.");
        var (prefix, suffix) = OperatingSystem.IsWindows() ? ("", ".dll") : ("lib", ".dylib");
        Folder = AppContext.BaseDirectory;
        HasCuda = File.Exists(Path.Combine(Folder, $"{prefix}torch_cuda{suffix}"));
        libtorch = LoadFile(Path.Combine(Folder, $"{prefix}torch_cpu{suffix}"));
        Version = VersionOf();
        return LoadFile(Path.Combine(Folder, $"{prefix}LibTorchSharp{suffix}"));
    }

    private static IntPtr LoadFile(string path) => Try(path, () =>
    {
        // The system's loader would map it all the same, and the process would end at the first missing page.
        if (OperatingSystem.IsLinux() && !ElfLibrary.IsWhole(path)) throw new BadImageFormatException();
        return NativeLibrary.Load(path);
    });

    private static IntPtr Try(string path, Func<IntPtr> load)
    {
        try
        {
            return load();
        }
        catch (Exception error) when (error is TypeLoadException or
            BadImageFormatException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            throw new LibTorchLoadException($"libtorch could not be loaded: {Reason(path, error)}.{Remedy(error)}", error);
        }
    }

    // .NET lists every place it looked in; the system loader's line names what is missing.
    private static string Reason(string path, Exception error) => error switch
    {
        _ when !File.Exists(path) => $"{path} does not exist",
        DllNotFoundException => (error.Message.Split('\n').FirstOrDefault(NamesTheCause) ?? error.Message).Trim().TrimEnd('.'),
        IOException or UnauthorizedAccessException => error.Message.TrimEnd('.'),
        _ => $"{path} is damaged",
    };

    private static bool NamesTheCause(string line) => line.Contains(": ") && !line.StartsWith("Unable", StringComparison.Ordinal);

    private static string Remedy(Exception error) => error switch
    {
        _ when error.Message.Contains("version `GLIBC") => " It needs Debian 12, Ubuntu 22.04 or anything newer.",
        _ when IsForeign => $" Unset {FolderVariable} to use the one that the program was built with.",
        _ => " Build the program again: dotnet build.",
    };

    private static LibTorchLoadException Unsupported() =>
        new($"{RuntimeInformation.RuntimeIdentifier} has no libtorch: linux-x64 (glibc), win-x64, win-arm64 and osx-arm64 have.");

    // Python's package says more than the library's number: 2.14.0+cu130.
    private static unsafe string VersionOf()
    {
        var file = Path.Combine(Folder, "..", "version.py");
        var stated = IsForeign && File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith("__version__ = ")) : null;
        if (stated is not null) return stated.Split('\'', '"')[1];
        if (!TryGetExport(libtorch, "aoti_torch_abi_version", out var function)) return "unknown version";
        var version = ((delegate* unmanaged<ulong>)function)();
        return $"{version >> 56}.{version >> 48 & 255}.{version >> 40 & 255}";
    }

    // libtorch's default leaves out cores that share arithmetic units with another.
    private static unsafe void SetThreads()
    {
        if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is { Length: > 0 }) return;
        ((delegate* unmanaged<int, void>)GetExport(torchSharp, ThreadsSetter))(Environment.ProcessorCount);
    }
}

/// <summary>libtorch cannot be loaded; the message is one line for the user that says what is missing and what to do.</summary>
internal sealed class LibTorchLoadException(string message, Exception? inner = null) : Exception(message, inner);
