using System.Runtime.InteropServices;

namespace Trainer.Data;

/// <summary>Writes that are on the disk itself when they return.</summary>
public static partial class DurableFile
{
    /// <summary>Replaces a small text file: readers see the old or the new content, never a part, even after a loss of power.</summary>
    public static void Replace(string path, string content)
    {
        string temporary = path + ".tmp";
        File.WriteAllText(temporary, content);
        Flush(temporary);
        File.Move(temporary, path, overwrite: true);
        FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Waits until a file's content is on the disk.</summary>
    public static void Flush(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Waits until the names in a directory are on the disk: on Unix a file's own flush does not cover its name.</summary>
    public static void FlushDirectory(string path)
    {
        // Windows writes names through its journal, and opens no directories here.
        if (OperatingSystem.IsWindows()) return;
        int descriptor = open(path, 0);
        if (descriptor < 0) throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");
        try
        {
            if (fsync(descriptor) != 0 && !FlushIsUnsupported(Marshal.GetLastPInvokeError()))
                throw new IOException($"{path}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    /// <summary>Some network and FUSE file systems refuse to flush directories (EINVAL, ENOTSUP); they have nothing to flush.</summary>
    private static bool FlushIsUnsupported(int error) => error is 22 or 95;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
