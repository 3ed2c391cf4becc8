using Trainer.Checkpoints.Adapters;
using Trainer.Data.Numbers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>What a checkpoint holds, for <c>inspect</c>.</summary>
public sealed record CheckpointContents
{
    /// <summary>Its directory.</summary>
    public required string Directory { get; init; }

    /// <summary>The name of the recipe it was trained from.</summary>
    public required string Name { get; init; }

    /// <summary>The state of its training; null if it was not written by training.</summary>
    public required TrainingPosition? Training { get; init; }

    /// <summary>The kind of tokenizer; null for a model of patches.</summary>
    public required string? Tokenizer { get; init; }

    /// <summary>Number of tokens, of classes, or of values of a forecast.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>How a model of patches reads pictures or time series; null for one of tokens.</summary>
    public Preprocessor? Preprocessor { get; init; }

    /// <summary>What the tensors are an adapter for; null where they are a model.</summary>
    public required AdapterBase? Base { get; init; }

    /// <summary>Number of parameters, those of an adapter and of the model that it goes on.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of parameters that the tensors are: all, or those that were trained with an adapter.</summary>
    public required long StoredParameters { get; init; }

    /// <summary>Its files, verified.</summary>
    public required IReadOnlyList<FileEntry> Files { get; init; }

    /// <summary>The tensors of the model, or of the adapter.</summary>
    public required IReadOnlyList<TensorEntry> Tensors { get; init; }

    /// <summary>The state of training; Window is the position within the epoch, BestLoss in nats per token.</summary>
    public sealed record TrainingPosition(long Step, long Tokens, long Epoch, long Window, double? BestLoss, long? BestStep);

    /// <summary>A file with its size and hash.</summary>
    public sealed record FileEntry(string Name, long Bytes, string Sha256);

    /// <summary>A tensor of the model.</summary>
    public sealed record TensorEntry(string Name, ScalarType Type, IReadOnlyList<long> Shape);

    /// <summary>Verifies a checkpoint, or a run's best one, and lists what it holds.</summary>
    /// <exception cref="Configuration.UserException">There is none, or it is damaged.</exception>
    public static CheckpointContents Of(string path)
    {
        var checkpoint = Checkpoint.Open(path);
        using var weights = SafetensorsFile.Open(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        long stored = weights.Names.Sum(Numbers);
        return new CheckpointContents
        {
            StoredParameters = stored,
            Parameters = checkpoint.Base is null
                ? stored
                : ModelCost.Of(checkpoint.Model, checkpoint.Codec.Outputs).Parameters
                    + weights.Names.Where(AdapterTensors.IsAdded).Sum(Numbers),
            Directory = checkpoint.Directory,
            Name = checkpoint.Configuration.Name,
            Training = Position(checkpoint),
            Base = checkpoint.Base,
            Tokenizer = checkpoint.Codec.Preprocessor is null ? checkpoint.Tokenizer.Type : null,
            VocabularySize = checkpoint.Codec.Outputs,
            Preprocessor = checkpoint.Codec.Preprocessor,
            Files = [.. checkpoint.Manifest.Files.Select(file => new FileEntry(file.Key, file.Value.Size, file.Value.Sha256))],
            Tensors = [.. weights.Names.Select(name => new TensorEntry(name, weights.Info(name).Type, weights.Info(name).Shape))],
        };

        long Numbers(string name) => weights.Info(name).Shape.Aggregate(1L, (product, extent) => product * extent);
    }

    private static TrainingPosition? Position(Checkpoint checkpoint)
    {
        if (!checkpoint.Manifest.Files.ContainsKey(CheckpointFiles.State)) return null;
        var state = checkpoint.LoadState();
        return new TrainingPosition(state.Step, state.Tokens, state.Position.Epoch, state.Position.Index, state.BestLoss, state.BestStep);
    }
}
