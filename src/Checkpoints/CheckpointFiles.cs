using System.Globalization;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;

namespace Trainer.Checkpoints;

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
        && long.TryParse(name.AsSpan(5), NumberStyles.None, null, out long step)
        && DirectoryName(step) == name
            ? step
            : null;
}
