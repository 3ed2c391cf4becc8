using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>A run's checkpoints, complete or absent: <c>step-XXXXXXXX</c>, and files <c>best</c> and <c>last</c> that name one.</summary>
/// <remarks>Unlike links, files can be replaced atomically everywhere and survive copying. A run's lock admits one process.</remarks>
public sealed class CheckpointStore
{
    private const string Temporary = ".tmp-";
    private readonly string root;

    /// <summary>Opens the <c>checkpoints</c> directory of a run; the first save creates it.</summary>
    public CheckpointStore(string root) => this.root = root;

    /// <summary>The steps that have a checkpoint, damaged or not, in ascending order.</summary>
    public IReadOnlyList<long> Steps => Directory.Exists(root)
        ? [.. Directory.EnumerateDirectories(root).Select(path => CheckpointFiles.StepOf(Path.GetFileName(path))).OfType<long>().Order()]
        : [];

    /// <summary>The step with the lowest validation loss, if any.</summary>
    public long? Best => Pointer("best");

    /// <summary>The step saved last, if any.</summary>
    public long? Last => Pointer("last");

    /// <summary>The directory of a step, whether or not it exists.</summary>
    public string DirectoryOf(long step) => Path.Combine(root, CheckpointFiles.DirectoryName(step));

    /// <summary>Removes temporary files of runs that were killed while saving or rotating.</summary>
    public void RemoveTemporaryFiles()
    {
        if (!Directory.Exists(root)) return;
        foreach (string path in Directory.EnumerateDirectories(root, Temporary + "*")) Directory.Delete(path, recursive: true);
        foreach (string path in Directory.EnumerateFiles(root, "*.tmp")) File.Delete(path);
    }

    /// <summary>Writes a checkpoint under a temporary name, renames it, makes it the <see cref="Last"/>, and returns its path.</summary>
    /// <exception cref="UserException">It cannot be written, for lack of space or permission; nothing of it is left behind.</exception>
    public string Save(long step, IReadOnlyList<PendingFile> parts)
    {
        string temporary = Path.Combine(root, Temporary + CheckpointFiles.DirectoryName(step));
        string directory = DirectoryOf(step);
        try
        {
            CheckpointDirectory.WriteWhole(temporary, parts);
            // Only a damaged checkpoint can be in the way: a run resumes from its newest whole one.
            if (Directory.Exists(directory)) Remove(directory);
            Directory.Move(temporary, directory);
            DurableFile.FlushDirectory(root);
            DurableFile.Replace(Path.Combine(root, "last"), CheckpointFiles.DirectoryName(step) + "\n");
            return directory;
        }
        catch (Exception error)
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
            if (error is IOException or UnauthorizedAccessException or UserException) throw CannotSave(step, error);
            throw;
        }
    }

    /// <summary>Makes a step that has a checkpoint, or none, the <see cref="Best"/>.</summary>
    public void MarkBest(long? step)
    {
        string path = Path.Combine(root, "best");
        if (step is { } best) DurableFile.Replace(path, CheckpointFiles.DirectoryName(best) + "\n");
        else File.Delete(path);
    }

    /// <summary>Removes all but the newest <paramref name="keep"/> checkpoints by step; never the best or the last one.</summary>
    public void Rotate(int keep)
    {
        long?[] kept = [Best, Last];
        foreach (long step in Steps.Reverse().Skip(keep))
            if (!kept.Contains(step))
                Remove(DirectoryOf(step));
    }

    /// <summary>The step of the newest undamaged checkpoint, null if there is none; warns of damaged ones.</summary>
    /// <exception cref="UserException">There are checkpoints, but all are damaged.</exception>
    public long? NewestWhole(Action<string> warn)
    {
        IReadOnlyList<long> steps = Steps;
        foreach (long step in steps.Reverse())
        {
            try
            {
                RequireWhole(step);
                return step;
            }
            catch (UserException damage)
            {
                warn($"passing over a damaged checkpoint: {damage.Message}");
            }
        }
        return steps.Count == 0
            ? null
            : throw new UserException(
                $"{root}: none of the {steps.Count} checkpoints is whole (see above); start again with --run and another directory.");
    }

    /// <summary>Checks all that training goes on from against the manifest of a step's checkpoint.</summary>
    /// <exception cref="UserException">A file is missing or damaged; it is named.</exception>
    public void RequireWhole(long step) => CheckpointManifest.Verify(DirectoryOf(step), CheckpointFiles.Model,
        CheckpointFiles.Optimizer, CheckpointFiles.State, CheckpointFiles.Configuration, CheckpointFiles.Tokenizer);

    /// <summary>The files of a step's checkpoint, to be saved elsewhere as they are.</summary>
    public IReadOnlyList<PendingFile> FilesOf(long step) =>
        [.. Directory.EnumerateFiles(DirectoryOf(step)).Where(path => Path.GetFileName(path) != CheckpointFiles.Manifest)
            .Select(path => new PendingFile(Path.GetFileName(path), target => File.Copy(path, target)))];

    /// <summary>Renames before deleting, so that a run killed in between leaves no damaged checkpoint.</summary>
    private void Remove(string directory)
    {
        string doomed = Path.Combine(root, $"{Temporary}removed-{Path.GetFileName(directory)}");
        if (Directory.Exists(doomed)) Directory.Delete(doomed, recursive: true);
        Directory.Move(directory, doomed);
        Directory.Delete(doomed, recursive: true);
    }

    private long? Pointer(string name)
    {
        string path = Path.Combine(root, name);
        return File.Exists(path)
            && CheckpointFiles.StepOf(File.ReadAllText(path).Trim()) is { } step
            && Directory.Exists(DirectoryOf(step))
                ? step
                : null;
    }

    private UserException CannotSave(long step, Exception error)
    {
        string earlier = Steps is [.., var newest]
            ? $"The checkpoint of step {newest} is untouched: mend the cause (is the disk full?) and go on with --resume."
            : "There is no earlier checkpoint: mend the cause (is the disk full?) and start again.";
        return new UserException($"{DirectoryOf(step)}: the checkpoint could not be saved: {error.Message} {earlier}", error);
    }
}
