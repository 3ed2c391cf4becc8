namespace Trainer.Text;

/// <summary>Files and folders that are whole or not there.</summary>
internal static class WholeFile
{
    /// <summary>Writes a file beside its place, flushes it to the disk and renames it.</summary>
    public static void Write(string path, Action<FileStream> write)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Fills a folder beside its place and puts it there, in place of an earlier one.</summary>
    public static void WriteFolder(string path, Action<string> fill)
    {
        var mark = Guid.NewGuid().ToString("N");
        var temporary = $"{path}.{mark}.tmp";
        var earlier = $"{path}.{mark}.old";
        Directory.CreateDirectory(temporary);
        try
        {
            fill(temporary);
            if (Directory.Exists(path))
                Directory.Move(path, earlier);
            Directory.Move(temporary, path);
        }
        finally
        {
            Remove(temporary);
            Remove(earlier);
        }
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }
}
