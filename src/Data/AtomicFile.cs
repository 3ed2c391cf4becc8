using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Writes files and folders atomically: they appear whole or not at all. Write errors (disk full, no permission) become a
/// <see cref="UserException"/>, and what was there before stays.</summary>
internal static class AtomicFile
{
    private static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    /// <summary>Writes to a temporary file beside the target, flushes it to disk and renames it.</summary>
    public static void Write(string path, Action<FileStream> write)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        Guard(path, () =>
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }, cleanUp: () => File.Delete(temporary));
    }

    public static void WriteFolder(string path, Action<string> fill)
    {
        path = Path.TrimEndingDirectorySeparator(path);
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        var replaces = Directory.Exists(path);
        Guard(path, () =>
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            // Locked before the folder is there: one without a lock is abandoned.
            using var owner = new FileStream(OwnerOf(temporary), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 1,
                FileOptions.DeleteOnClose);
            Directory.CreateDirectory(temporary);
            RemoveAbandoned(path);
            fill(temporary);
            if (replaces || !Directory.Exists(path)) Replace(path, temporary);
            else Remove(temporary); // another process made it meanwhile, and may read it
        }, cleanUp: () => Remove(temporary));
    }

    private static void Replace(string path, string temporary)
    {
        var earlier = Path.ChangeExtension(temporary, ".old");
        var moved = TryMove(path, earlier);
        for (var tries = 4; Directory.Exists(temporary); tries--)
        {
            try
            {
                Directory.Move(temporary, path);
            }
            catch (IOException) when (Directory.Exists(path)) // another process made it meanwhile, as if after this one
            {
                Remove(temporary);
            }
            catch (IOException) when (tries > 0) // it was there, and a third process has just moved it
            {
            }
            catch when (moved)
            {
                Directory.Move(earlier, path);
                throw;
            }
        }
        Remove(earlier);
    }

    private static bool TryMove(string path, string to)
    {
        if (!Directory.Exists(path)) return false;
        try
        {
            Directory.Move(path, to);
            return true;
        }
        catch (DirectoryNotFoundException) // another process has just moved it
        {
            return false;
        }
    }

    /// <summary>Removes folders left by killed processes; a folder that a running process still fills stays.</summary>
    private static void RemoveAbandoned(string path)
    {
        var parent = Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach (var folder in Directory.GetDirectories(parent, $"{Path.GetFileName(path)}.*"))
            if (Path.GetExtension(folder) is ".tmp" or ".old" && IsAbandoned(folder))
                Try(() => // another process may do the same
                {
                    Remove(folder);
                    File.Delete(OwnerOf(folder));
                });
    }

    /// <summary>Whether no process writes to a folder any more: the lock is free, or, without a lock file, the folder is old.</summary>
    private static bool IsAbandoned(string folder)
    {
        if (!File.Exists(OwnerOf(folder)))
            return DateTime.UtcNow - Directory.GetLastWriteTimeUtc(folder) > Abandoned;
        try
        {
            using var owner = new FileStream(OwnerOf(folder), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string OwnerOf(string folder) => folder + ".owner";

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    private static void Guard(string path, Action write, Action cleanUp)
    {
        try
        {
            write();
        }
        catch (Exception e)
        {
            Try(cleanUp);
            if (e is IOException or UnauthorizedAccessException)
                throw new UserException($"{path} cannot be written: {e.Message.TrimEnd('.')}; free space on the disk or choose another "
                    + "place", e);
            throw;
        }
    }

    /// <summary>A failing cleanup must not hide the original error; a later run removes what it leaves.</summary>
    private static void Try(Action cleanUp)
    {
        try
        {
            cleanUp();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
