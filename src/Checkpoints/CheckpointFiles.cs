namespace Trainer.Checkpoints;

/// <summary>The names of the files in a checkpoint, and of the directories around it.</summary>
public static class CheckpointFiles
{
    /// <summary>Float32 master weights under the names of the model's own modules.</summary>
    public const string Model = "model.safetensors";

    /// <summary>The optimizer's state.</summary>
    public const string Optimizer = "optimizer.safetensors";

    /// <summary>Step, data position, random states; see <see cref="CheckpointState"/>.</summary>
    public const string State = "state.json";

    /// <summary>The resolved recipe.</summary>
    public const string Configuration = "config.json";

    /// <summary>The tokenizer.</summary>
    public const string Tokenizer = "tokenizer.json";

    /// <summary>Size and SHA-256 of every other file; see <see cref="CheckpointManifest"/>.</summary>
    public const string Manifest = "manifest.json";

    /// <summary>The directory of a run that holds its checkpoints.</summary>
    public const string Folder = "checkpoints";

    /// <summary>The directory of a step: <c>step-</c> and at least eight digits.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <returns>A directory name.</returns>
    public static string DirectoryName(long step) => $"step-{step:00000000}";

    /// <summary>The step of a directory name made by <see cref="DirectoryName"/>.</summary>
    /// <param name="name">A directory name.</param>
    /// <returns>The step, or <c>null</c> for any other name.</returns>
    public static long? StepOf(string name) =>
        name.StartsWith("step-", StringComparison.Ordinal)
        && long.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, null, out long step)
        && DirectoryName(step) == name
            ? step
            : null;
}
