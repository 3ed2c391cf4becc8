using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using Trainer.Kernels;

namespace Stock;

/// <summary>Finds libtorch where LibTorch.targets puts it, and accepts an older libstdc++ (Debian 12) as LibTorchLoader does.</summary>
/// <remarks>Unlike LibTorchLoader it tunes nothing.</remarks>
internal static class Loading
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "libtorch");

    [ModuleInitializer]
    internal static void OnFirstUse()
    {
        if (!OperatingSystem.IsLinux()) return;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += (_, name) => name switch
        {
            "torch_cpu" => LoadTorch(),
            "LibTorchSharp" => LoadTorchSharp(),
            _ => IntPtr.Zero,
        };
    }

    // In the order of their needs, so that each finds the others loaded.
    private static IntPtr LoadTorch()
    {
        NativeLibrary.Load(Path.Combine(Folder, "libc10.so"));
        var library = NativeLibrary.Load(Path.Combine(Folder, "libtorch_cpu.so"));
        NativeLibrary.Load(Path.Combine(Folder, "libtorch.so"));
        return library;
    }

    private static IntPtr LoadTorchSharp()
    {
        LoadTorch();
        var path = Path.Combine(Folder, "libLibTorchSharp.so");
        if (NativeLibrary.TryLoad(path, out var library)) return library;
        var adapted = new ElfLibrary(File.ReadAllBytes(path));
        adapted.Weaken("GLIBCXX_3.4.32");
        return CLibrary.LoadFromMemory("libLibTorchSharp.so", adapted.Bytes);
    }
}
