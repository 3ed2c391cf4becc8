using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>One checkpoint directory: whole or not there.</summary>
public static class CheckpointDirectory
{
    /// <summary>Writes a checkpoint that belongs to no run: imported or converted.</summary>
    /// <param name="directory">Where; nothing may be there yet.</param>
    /// <param name="parts">Its files; the manifest is added.</param>
    /// <exception cref="UserException">Something is there, or it cannot be written; nothing of it is left behind.</exception>
    public static void Write(string directory, IReadOnlyList<CheckpointPart> parts)
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

    /// <summary>Writes all files and the manifest, and waits until they are on the disk.</summary>
    /// <param name="temporary">A directory that is renamed afterwards; emptied first.</param>
    /// <param name="parts">Its files.</param>
    internal static void WriteWhole(string temporary, IReadOnlyList<CheckpointPart> parts)
    {
        if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        Directory.CreateDirectory(temporary);
        foreach (CheckpointPart part in parts) part.Write(Path.Combine(temporary, part.Name));
        CheckpointManifest.Write(temporary);
        foreach (string path in Directory.EnumerateFiles(temporary)) DurableFile.Flush(path);
        DurableFile.FlushDirectory(temporary);
    }
}
