using System.Runtime.InteropServices;

namespace Trainer.Data;

/// <summary>File writes that are on disk when they return.</summary>
public static partial class DurableFile
{
    /// <summary>Atomically replaces a small text file: readers see the old or the new content, even after a power failure.</summary>
    public static void Replace(string path, string content)
    {
        string temporary = path + ".tmp";
        File.WriteAllText(temporary, content);
        Flush(temporary);
        File.Move(temporary, path, overwrite: true);
        FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Atomically writes a file of any size: it is there whole, or not at all.</summary>
    /// <exception cref="Configuration.UserException">It cannot be written.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        AtomicFile.Write(path, write);
        FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Flushes a file's content to disk.</summary>
    public static void Flush(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Flushes a directory's entries to disk; on Unix, flushing a file does not persist its name.</summary>
    public static void FlushDirectory(string path)
    {
        // Windows journals directory entries and cannot open directories this way.
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

    /// <summary>Some network and FUSE file systems reject directory flushes (EINVAL, ENOTSUP); they have nothing to flush.</summary>
    private static bool FlushIsUnsupported(int error) => error is 22 or 95;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
