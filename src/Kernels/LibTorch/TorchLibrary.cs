using System.Runtime.InteropServices;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>Exports of the libtorch that TorchSharp runs on, found by its bare name wherever it was loaded from.</summary>
internal static class TorchLibrary
{
    private static readonly nint Cpu = Load();

    /// <summary>A function or variable of libtorch_cpu or, on Linux and macOS, of a library that it needs.</summary>
    /// <exception cref="EntryPointNotFoundException">There is none of that name.</exception>
    public static nint Export(string name) => NativeLibrary.GetExport(Cpu, name);

    /// <summary>The same, or 0.</summary>
    public static nint OptionalExport(string name) => NativeLibrary.TryGetExport(Cpu, name, out nint address) ? address : 0;

    /// <summary>Another library of libtorch, such as torch_cuda, or 0.</summary>
    public static nint Loaded(string name)
    {
        torch.get_num_threads(); // TorchSharp loads its own on its first call.
        string file = OperatingSystem.IsWindows() ? $"{name}.dll" : OperatingSystem.IsMacOS() ? $"lib{name}.dylib" : $"lib{name}.so";
        return NativeLibrary.TryLoad(file, out nint loaded) || NativeLibrary.TryLoad(file, typeof(TorchLibrary).Assembly, null, out loaded)
            ? loaded
            : 0;
    }

    private static nint Load() => Loaded("torch_cpu") is var cpu and not 0
        ? cpu
        : throw new DllNotFoundException("libtorch_cpu, which TorchSharp runs on, was not found.");
}
