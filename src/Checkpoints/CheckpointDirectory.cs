using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>Writes a checkpoint directory that is complete or absent.</summary>
internal static class CheckpointDirectory
{
    /// <summary>Writes an imported or converted checkpoint to a new or empty directory.</summary>
    public static void Write(string directory, IReadOnlyList<PendingFile> parts)
    {
        string place = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (File.Exists(place) || (Directory.Exists(place) && Directory.EnumerateFileSystemEntries(place).Any()))
            throw new UserException($"{directory}: something is there already; remove it or choose another --output");
        string temporary = $"{place}.tmp-{Environment.ProcessId}";
        try
        {
            WriteWhole(temporary, parts);
            if (Directory.Exists(place)) Directory.Delete(place);
            Directory.Move(temporary, place);
            DurableFile.FlushDirectory(Path.GetDirectoryName(place)!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{directory}: the checkpoint could not be written: {error.Message}", error);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }

    internal static void WriteWhole(string temporary, IReadOnlyList<PendingFile> parts)
    {
        if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        Directory.CreateDirectory(temporary);
        foreach (PendingFile part in parts) part.Write(Path.Combine(temporary, part.Name));
        CheckpointManifest.Write(temporary);
        foreach (string path in Directory.EnumerateFiles(temporary)) DurableFile.Flush(path);
        DurableFile.FlushDirectory(temporary);
    }
}

/// <summary>One file of a checkpoint to write: its name, and what writes it to a given path.</summary>
public sealed record PendingFile(string Name, Action<string> Write);
