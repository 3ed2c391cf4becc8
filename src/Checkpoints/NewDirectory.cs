using Trainer.Configuration;

namespace Trainer.Checkpoints;

/// <summary>Directories that are whole or not there.</summary>
internal static class NewDirectory
{
    /// <summary>Fills a directory beside its place and then renames it.</summary>
    /// <exception cref="UserException">Something is there already, or it cannot be written.</exception>
    public static void Write(string directory, Action<string> fill)
    {
        directory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (File.Exists(directory) || (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any()))
            throw new UserException($"{directory}: something is there already; remove it or choose another --output");
        string temporary = $"{directory}.tmp-{Environment.ProcessId}";
        try
        {
            Directory.CreateDirectory(temporary);
            fill(temporary);
            if (Directory.Exists(directory)) Directory.Delete(directory);
            Directory.Move(temporary, directory);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{directory}: it cannot be written: {error.Message}", error);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }
}
