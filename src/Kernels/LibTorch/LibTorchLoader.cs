using System.Runtime.InteropServices;
using System.Runtime.Loader;
using static System.Runtime.InteropServices.NativeLibrary;

namespace Trainer.Kernels;

/// <summary>Loads libtorch and TorchSharp's native part, and sets what must be set before the first tensor.</summary>
/// <remarks>
/// <see cref="Load"/> comes before anything of TorchSharp's, in every process: <c>LibTorch.targets</c> compiles a call of
/// <see cref="LoadOnFirstUse"/> into programs. TorchSharp then asks for <c>torch_cpu</c> and <c>LibTorchSharp</c> by name, and the system's
/// loader answers with those that are there already.
/// </remarks>
public static class LibTorchLoader
{
    /// <summary>Names the folder of another libtorch, such as the <c>torch/lib</c> of a Python installation. Linux only.</summary>
    public const string FolderVariable = "TRAINER_LIBTORCH";

    // The marker that g++ 13 and newer put into every object file that includes <iostream>. Nothing calls it, but the version that comes
    // with it keeps the system's loader from accepting an older libstdc++ (Debian 12, Ubuntu 22.04).
    private const string StreamsMarker = "_ZSt21ios_base_library_initv", StreamsVersion = "GLIBCXX_3.4.32";

    private static readonly Lock Loading = new();
    private static LibTorchLoadException? failure;
    private static IntPtr libtorch, torchSharp;
    private static MissingSymbols missing = new([], _ => true);

    /// <summary>The folder that libtorch was loaded from; empty before <see cref="Load"/>.</summary>
    public static string Folder { get; private set; } = "";

    /// <summary>Whether <see cref="FolderVariable"/> chose it, rather than the package that the program was built with.</summary>
    public static bool IsForeign { get; private set; }

    /// <summary>Such as <c>2.10.0</c>, or <c>2.14.0+cu130</c> for one of Python's.</summary>
    public static string Version { get; private set; } = "";

    /// <summary>Whether this libtorch can use an NVIDIA GPU; a device may still be absent.</summary>
    public static bool HasCuda { get; private set; }

    /// <summary>Whether operations can have a backward pass in C#; newer libtorches lack what TorchSharp needs for it.</summary>
    public static bool HasAutogradFunctions => missing.AutogradFunctions.Count == 0;

    /// <summary>What this libtorch lacks that TorchSharp could call, in words; null where it has everything.</summary>
    public static string? Lacks => missing.Description;

    /// <summary>Whether TorchSharp's native part was changed on the way to run on an older libstdc++.</summary>
    public static bool IsAdapted { get; private set; }

    /// <summary>Calls <see cref="Load"/> once something needs it; where that fails, one line says why and the exit code is 1.</summary>
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

    /// <summary>Loads libtorch if that has not been done yet. Safe on any thread.</summary>
    /// <exception cref="LibTorchLoadException">The platform has none, a file is missing or refused, or its version does not
    /// fit.</exception>
    public static void Load()
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
        // In the order of their needs: then each finds the others loaded, and LD_LIBRARY_PATH has no say.
        foreach (var name in (string[])["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"])
            if (!name.Contains("cuda") || File.Exists(Path.Combine(Folder, name))) libtorch = LoadFile(Path.Combine(Folder, name));
        if (!CLibrary.IsTunedByUser && TryGetExport(libtorch, Allocator, out var allocator))
            TensorMemory.Install(new ElfLibrary(File.ReadAllBytes(Path.Combine(Folder, "libc10.so"))), Allocator, allocator);
        HasCuda = File.Exists(Path.Combine(Folder, "libtorch_cuda.so"));
        Version = VersionOf();
        var library = LoadTorchSharp(Path.Combine(own, "libLibTorchSharp.so"));
        CLibrary.ExitWithoutDestructors();
        return library;
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

    /// <summary>Refuses an operation whose backward pass is C# where libtorch lacks what it takes: a call would end the process.</summary>
    /// <exception cref="TorchException">It does; the message names what is missing.</exception>
    internal static void RequireAutogradFunctions()
    {
        if (HasAutogradFunctions) return;
        throw new TorchException($"{Version} in {Folder} lacks {Some(missing.AutogradFunctions)}, which an operation of this model "
            + $"with a backward pass in C# needs; use one nearer to 2.10 ({FolderVariable})");
    }

    private static void Check(ElfLibrary library)
    {
        missing = new(library.RequiredSymbols(), symbol => symbol == StreamsMarker || TryGetExport(libtorch, symbol, out _));
        if (missing.Needed.Count == 0) return;
        throw new LibTorchLoadException(
            $"{FolderVariable}: libtorch {Version} in {Folder} lacks {Some(missing.Needed)}, which TorchSharp calls; "
            + "use one nearer to 2.10, or unset it.");
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
        // The system's loader would map it all the same, and the process ends at the first page that is not there.
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

    // .NET lists every place it looked in; the line to read is the one of the system's loader, which names what is missing.
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

    // Python's package says more than the number in the library: 2.14.0+cu130.
    private static unsafe string VersionOf()
    {
        var file = Path.Combine(Folder, "..", "version.py");
        var stated = IsForeign && File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith("__version__ = ")) : null;
        if (stated is not null) return stated.Split('\'', '"')[1];
        if (!TryGetExport(libtorch, "aoti_torch_abi_version", out var function)) return "unknown version";
        var version = ((delegate* unmanaged<ulong>)function)();
        return $"{version >> 56}.{version >> 48 & 255}.{version >> 40 & 255}";
    }

    // libtorch's own default leaves out cores that share their arithmetic units with another.
    private static unsafe void SetThreads()
    {
        if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is { Length: > 0 }) return;
        ((delegate* unmanaged<int, void>)GetExport(torchSharp, ThreadsSetter))(Environment.ProcessorCount);
    }
}

/// <summary>libtorch cannot be loaded; the message is one line that says what is missing and what to do.</summary>
/// <param name="message">What to show the user.</param>
/// <param name="inner">The loader's own failure.</param>
public sealed class LibTorchLoadException(string message, Exception? inner = null) : Exception(message, inner);
