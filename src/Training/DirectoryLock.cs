using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>The file <c>.lock</c> of a directory that one process at a time may write to; the operating system releases it with the
/// process.</summary>
internal static class DirectoryLock
{
    public const string FileName = ".lock";

    /// <summary>Creates and locks a directory until the result is disposed of; <paramref name="taken"/> says what to do where another
    /// process has it.</summary>
    public static FileStream Take(string directory, string taken)
    {
        string file = Path.Combine(directory, FileName);
        try
        {
            Directory.CreateDirectory(directory);
            return Open(file);
        }
        catch (IOException) when (File.Exists(file))
        {
            throw new UserException($"{directory}: {taken}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{directory}: the directory cannot be used: {error.Message}", error);
        }
    }

    /// <summary>Whether a process has locked a directory.</summary>
    public static bool IsHeld(string directory)
    {
        string file = Path.Combine(directory, FileName);
        if (!File.Exists(file)) return false;
        try
        {
            Open(file).Dispose();
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private static FileStream Open(string file) => new(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
}
