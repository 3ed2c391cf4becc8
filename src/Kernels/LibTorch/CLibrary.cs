using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Settings of glibc made before libtorch is loaded.</summary>
internal static partial class CLibrary
{
    private const int TrimThreshold = -1, MapThreshold = -3, Arenas = -8; // M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
    private const int Keep = 1 << 30; // bytes: free memory that stays, and the largest block that comes from it
    private const uint CloseOnExecute = 1; // MFD_CLOEXEC
    private const int LargestAllowed = 1 << 25; // the most that older versions of glibc allow for M_MMAP_THRESHOLD

    /// <summary>Whether the environment tunes malloc, which is then left alone.</summary>
    internal static bool IsTunedByUser => Environment.GetEnvironmentVariables().Keys.Cast<string>()
        .Any(name => name == "GLIBC_TUNABLES" || name.StartsWith("MALLOC_", StringComparison.Ordinal));

    /// <summary>Keeps the memory that a training step frees for the next step.</summary>
    /// <remarks>By default glibc hands large blocks back to the kernel at once and gets them back zeroed, page by page: some 3,000 page
    /// faults a step for a model of 0.8 M parameters. One heap serves all threads, so that one can use what another frees. libtorch's pages
    /// of 2 MiB (THP_MEM_ALLOC_ENABLE) stay off: with them a process of 390 MiB grew to 570.</remarks>
    internal static void KeepMemoryBetweenSteps()
    {
        if (IsTunedByUser) return;
        mallopt(Arenas, 1);
        mallopt(TrimThreshold, Keep);
        if (mallopt(MapThreshold, Keep) == 0) mallopt(MapThreshold, LargestAllowed);
    }

    internal static IntPtr LoadFromMemory(string name, ReadOnlySpan<byte> bytes)
    {
        using var file = new Microsoft.Win32.SafeHandles.SafeFileHandle(memfd_create(name, CloseOnExecute), ownsHandle: true);
        if (file.IsInvalid) return LoadFromTemporaryFile(bytes);
        RandomAccess.Write(file, bytes, 0);
        return NativeLibrary.Load($"/proc/self/fd/{file.DangerousGetHandle()}");
    }

    // Where the kernel forbids executable files in memory.
    private static IntPtr LoadFromTemporaryFile(ReadOnlySpan<byte> bytes)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, bytes);
            return NativeLibrary.Load(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Makes the process exit without tearing down libtorch's operator registry, which takes 0.15 s.</summary>
    /// <remarks>Called after libtorch is loaded: handlers run last to first. .NET has flushed its own output by then.</remarks>
    internal static void ExitWithoutDestructors() =>
        on_exit(NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "_exit"), IntPtr.Zero);

    // The handler gets the exit code, the one argument of _exit.
    [LibraryImport("libc")]
    private static partial int on_exit(IntPtr function, IntPtr argument);

    [LibraryImport("libc")]
    private static partial int mallopt(int parameter, int value);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);
}
