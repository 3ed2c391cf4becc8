using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>What a checkpoint holds, for people and scripts to read.</summary>
public sealed record CheckpointContents
{
    /// <summary>Its directory.</summary>
    public required string Directory { get; init; }

    /// <summary>The name of the recipe it was trained from.</summary>
    public required string Name { get; init; }

    /// <summary>Where its training stood; <c>null</c> where the checkpoint was not written by training.</summary>
    public required TrainingPosition? Training { get; init; }

    /// <summary>The kind of tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Number of different tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Learned numbers.</summary>
    public long Parameters => Tensors.Sum(tensor => tensor.Shape.Aggregate(1L, (product, extent) => product * extent));

    /// <summary>Its files, all verified.</summary>
    public required IReadOnlyList<FileEntry> Files { get; init; }

    /// <summary>The tensors of the model.</summary>
    public required IReadOnlyList<TensorEntry> Tensors { get; init; }

    /// <summary>Where training stood.</summary>
    /// <param name="Step">Optimizer steps done.</param>
    /// <param name="Tokens">Tokens trained on.</param>
    /// <param name="Epoch">Passes over the data done.</param>
    /// <param name="Window">Position within the epoch.</param>
    /// <param name="BestLoss">The lowest validation loss, in nats per token.</param>
    /// <param name="BestStep">Its step.</param>
    public sealed record TrainingPosition(long Step, long Tokens, long Epoch, long Window, double? BestLoss, long? BestStep);

    /// <summary>One file.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Bytes">Its size.</param>
    /// <param name="Sha256">Its hash.</param>
    public sealed record FileEntry(string Name, long Bytes, string Sha256);

    /// <summary>One tensor.</summary>
    /// <param name="Name">Its name in the model.</param>
    /// <param name="Type">The type of its elements.</param>
    /// <param name="Shape">Its extents.</param>
    public sealed record TensorEntry(string Name, ScalarType Type, IReadOnlyList<long> Shape);

    /// <summary>Verifies a checkpoint and reads what it holds.</summary>
    /// <param name="path">A checkpoint or run directory.</param>
    /// <exception cref="Configuration.UserException">There is none, or it is damaged.</exception>
    public static CheckpointContents Of(string path)
    {
        var checkpoint = Checkpoint.Open(path);
        using var weights = SafetensorsFile.Open(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        return new CheckpointContents
        {
            Directory = checkpoint.Directory,
            Name = checkpoint.Configuration.Name,
            Training = Position(checkpoint),
            Tokenizer = checkpoint.Tokenizer.Type,
            VocabularySize = checkpoint.Tokenizer.VocabularySize,
            Files = [.. checkpoint.Manifest.Files.Select(file => new FileEntry(file.Key, file.Value.Size, file.Value.Sha256))],
            Tensors = [.. weights.Names.Select(name => new TensorEntry(name, weights.Info(name).Type, weights.Info(name).Shape))],
        };
    }

    private static TrainingPosition? Position(Checkpoint checkpoint)
    {
        if (!checkpoint.Manifest.Files.ContainsKey(CheckpointFiles.State)) return null;
        var state = checkpoint.LoadState();
        return new TrainingPosition(state.Step, state.Tokens, state.Position.Epoch, state.Position.Index, state.BestLoss, state.BestStep);
    }
}
