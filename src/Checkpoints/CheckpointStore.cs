using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Checkpoints;

/// <summary>The checkpoints of one run: <c>step-XXXXXXXX</c> directories, each whole or not there, and the two small text
/// files <c>best</c> and <c>last</c> that hold the name of one of them.</summary>
/// <remarks>Text files rather than symbolic links: they can be replaced atomically on every file system and survive
/// being copied. One process uses a store at a time; the run directory's lock sees to it.</remarks>
public sealed class CheckpointStore
{
    private const string Temporary = ".tmp-";
    private readonly string root;

    /// <summary>Opens a store.</summary>
    /// <param name="root">The run's <c>checkpoints</c> directory; made on the first save.</param>
    public CheckpointStore(string root) => this.root = root;

    /// <summary>The steps that have a checkpoint, ascending by number; damaged ones are listed too.</summary>
    public IReadOnlyList<long> Steps => Directory.Exists(root)
        ? [.. Directory.EnumerateDirectories(root).Select(path => CheckpointFiles.StepOf(Path.GetFileName(path))).OfType<long>().Order()]
        : [];

    /// <summary>The step with the lowest validation loss, or <c>null</c>.</summary>
    public long? Best => Pointer("best");

    /// <summary>The step saved last, or <c>null</c>.</summary>
    public long? Last => Pointer("last");

    /// <summary>Where the checkpoint of a step is or would be.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <returns>A directory path.</returns>
    public string DirectoryOf(long step) => Path.Combine(root, CheckpointFiles.DirectoryName(step));

    /// <summary>Removes what runs that were killed while saving or rotating left behind.</summary>
    public void RemoveLeftovers()
    {
        if (!Directory.Exists(root)) return;
        foreach (string path in Directory.EnumerateDirectories(root, Temporary + "*")) Directory.Delete(path, recursive: true);
        foreach (string path in Directory.EnumerateFiles(root, "*.tmp")) File.Delete(path);
    }

    /// <summary>Saves the checkpoint of a step beside its place, flushes it, and renames it into place.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="parts">Its files; the manifest is added.</param>
    /// <returns>Its directory. <see cref="Last"/> names it from now on.</returns>
    /// <exception cref="UserException">It cannot be written: the disk is full, or permission is missing. Nothing of it
    /// is left behind, and earlier checkpoints are untouched.</exception>
    public string Save(long step, IReadOnlyList<CheckpointPart> parts)
    {
        string temporary = Path.Combine(root, Temporary + CheckpointFiles.DirectoryName(step));
        string directory = DirectoryOf(step);
        try
        {
            CheckpointDirectory.WriteWhole(temporary, parts);
            // Only a damaged checkpoint can be in the way: a run goes on from its newest whole one.
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

    /// <summary>Makes <see cref="Best"/> name a step.</summary>
    /// <param name="step">A step that has a checkpoint; <c>null</c> for none.</param>
    public void MarkBest(long? step)
    {
        string path = Path.Combine(root, "best");
        if (step is { } best) DurableFile.Replace(path, CheckpointFiles.DirectoryName(best) + "\n");
        else File.Delete(path);
    }

    /// <summary>Removes all but the newest checkpoints, by step number; never the best or the last one.</summary>
    /// <param name="keep">How many of the newest stay.</param>
    public void Rotate(int keep)
    {
        long?[] kept = [Best, Last];
        foreach (long step in Steps.Reverse().Skip(keep))
            if (!kept.Contains(step))
                Remove(DirectoryOf(step));
    }

    /// <summary>The newest checkpoint all of whose files are whole.</summary>
    /// <param name="warn">Told about every damaged one that is passed over.</param>
    /// <returns>Its step, or <c>null</c> where there is no checkpoint at all.</returns>
    /// <exception cref="UserException">There are checkpoints, but none is whole.</exception>
    public long? NewestWhole(Action<string> warn)
    {
        IReadOnlyList<long> steps = Steps;
        foreach (long step in steps.Reverse())
        {
            try
            {
                CheckpointManifest.Verify(DirectoryOf(step), CheckpointFiles.Model, CheckpointFiles.Optimizer,
                    CheckpointFiles.State, CheckpointFiles.Configuration, CheckpointFiles.Tokenizer);
                return step;
            }
            catch (UserException damage)
            {
                warn($"passing over a damaged checkpoint: {damage.Message}");
            }
        }
        return steps.Count == 0
            ? null
            : throw new UserException($"{root}: none of the {steps.Count} checkpoints is whole (see above); start again with --run and another directory.");
    }

    /// <summary>Renames before deleting, so that a run killed meanwhile leaves no damaged checkpoint.</summary>
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
