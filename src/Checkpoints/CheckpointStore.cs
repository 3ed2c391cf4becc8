using Trainer.Checkpoints.HuggingFace;
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

/// <summary>The names of a checkpoint's files and of the directories around it.</summary>
public static class CheckpointFiles
{
    /// <summary>Float32 master weights, named after the model's modules.</summary>
    public const string Model = "model.safetensors";

    /// <summary>The optimizer's state.</summary>
    public const string Optimizer = "optimizer.safetensors";

    /// <summary>Step, data position, random states; see <see cref="CheckpointState"/>.</summary>
    public const string State = "state.json";

    /// <summary>The resolved recipe.</summary>
    public const string Configuration = "config.json";

    /// <summary>The tokenizer.</summary>
    public const string Tokenizer = "tokenizer.json";

    /// <summary>How a model of patches reads files, in place of a tokenizer.</summary>
    public const string Preprocessor = "preprocessor.json";

    /// <summary>Size and SHA-256 of every other file.</summary>
    public const string Manifest = "manifest.json";

    /// <summary>What an adapter goes on, in a checkpoint whose <see cref="Model"/> holds an adapter alone.</summary>
    public const string Adapter = "adapter.json";

    /// <summary>The directory of a run's checkpoints.</summary>
    public const string Folder = "checkpoints";

    /// <summary>The chat template, the special tokens and the defaults of generation beside an imported model, to go with another
    /// checkpoint of the same tokenizer; read at once.</summary>
    /// <exception cref="UserException">There is no checkpoint at the path, or a file cannot be read.</exception>
    public static IReadOnlyList<PendingFile> Companions(string path)
    {
        string directory = CheckpointLocator.Find(path);
        return [.. CompanionFiles.In(directory).Keys.Select(name =>
        {
            byte[] content = File.ReadAllBytes(Path.Combine(directory, name));
            return new PendingFile(name, target => File.WriteAllBytes(target, content));
        })];
    }

    /// <summary><c>step-</c> and at least eight digits.</summary>
    internal static string DirectoryName(long step) => $"step-{step:00000000}";

    /// <summary>The step of a checkpoint directory's name; null for any other name.</summary>
    public static long? StepOf(string name) =>
        name.StartsWith("step-", StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, null, out long step)
        && DirectoryName(step) == name
            ? step
            : null;
}

/// <summary>Validates the name of a run, which names its directory.</summary>
public static class RunName
{
    /// <summary>What is wrong with a name, if anything.</summary>
    public static string? ValidationError(string name)
    {
        if (string.IsNullOrWhiteSpace(name)) return "must not be empty; it names the run's directory under runs/";
        bool plain = name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
        return plain && name.Trim('.').Length > 0
            ? null
            : $"'{name}' must be made of letters, digits, '-', '_' and '.', for it names the run's directory under runs/";
    }
}
