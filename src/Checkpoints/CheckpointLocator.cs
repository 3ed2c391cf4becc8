using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>Finds the checkpoint that a path on the command line means.</summary>
internal static class CheckpointLocator
{
    /// <summary>The path itself, a run's best or newest checkpoint, or the one that a <c>best</c> or <c>last</c> file names.</summary>
    public static string Find(string path)
    {
        if (File.Exists(path)) return OfPointer(path);
        if (!Directory.Exists(path))
            throw new UserException($"{path}: there is no such checkpoint or run directory");
        bool isCheckpoint = File.Exists(Path.Combine(path, CheckpointFiles.Manifest))
            || CheckpointFiles.StepOf(Path.GetFileName(Path.TrimEndingDirectorySeparator(path))) is not null;
        if (isCheckpoint) return path;
        string inside = Path.Combine(path, CheckpointFiles.Folder);
        CheckpointStore store = new(Directory.Exists(inside) ? inside : path);
        return (store.Best ?? store.Steps.Cast<long?>().LastOrDefault()) is { } step
            ? store.DirectoryOf(step)
            : throw new UserException(
                $"{path}: there is no checkpoint in this directory; expected {CheckpointFiles.Manifest}, or a run with checkpoints/step-…");
    }

    private static string OfPointer(string path)
    {
        string name = FileTarget.Of(path).Length < 64 ? File.ReadAllText(path).Trim() : "";
        string directory = Path.Combine(Path.GetDirectoryName(path)!, name);
        return CheckpointFiles.StepOf(name) is not null && Directory.Exists(directory)
            ? directory
            : throw new UserException($"{path}: it is a file that names no checkpoint; give a checkpoint directory or a run directory");
    }
}
