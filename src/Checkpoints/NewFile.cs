using Trainer.Configuration;

namespace Trainer.Checkpoints;

/// <summary>Files that are whole or not there.</summary>
internal static class NewFile
{
    /// <summary>Writes a file beside its place and then renames it.</summary>
    /// <exception cref="UserException">A directory is there, or it cannot be written.</exception>
    public static void Write(string path, Action<Stream> fill)
    {
        string temporary = $"{path}.tmp-{Environment.ProcessId}";
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } directory) Directory.CreateDirectory(directory);
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16)) fill(stream);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: it cannot be written: {error.Message}", error);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
