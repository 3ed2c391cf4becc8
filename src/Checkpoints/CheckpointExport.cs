using System.Text.Json.Nodes;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Writes a checkpoint in the formats of other programs.</summary>
public static class CheckpointExport
{
    /// <summary>Writes to a new or empty directory, in float32, float16 or bfloat16, and returns the Hugging Face family.</summary>
    /// <exception cref="UserException">There is no such checkpoint, no family has the model, or writing fails.</exception>
    public static string HuggingFace(string checkpoint, string output, ScalarType type, ShardSize shardSize) =>
        HuggingFace(Checkpoint.Open(checkpoint), output, type, shardSize);

    /// <summary>As above, of a checkpoint that is open.</summary>
    /// <exception cref="UserException">No family has the model, or writing fails.</exception>
    public static string HuggingFace(Checkpoint checkpoint, string output, ScalarType type, ShardSize shardSize)
    {
        using IOpenWeights weights = checkpoint.OpenWeights();
        return HuggingFaceExport.Write(Source(checkpoint, weights), output, type, shardSize);
    }

    /// <summary>Writes a checkpoint's adapter as PEFT does, in float32, float16 or bfloat16, and returns the family of its base.</summary>
    /// <exception cref="UserException">There is no such checkpoint, it has no adapter, or no family has the model or a matrix.</exception>
    public static string Peft(string checkpoint, string output, ScalarType type) => Peft(Checkpoint.Open(checkpoint), output, type);

    /// <summary>As above, of a checkpoint that is open.</summary>
    /// <exception cref="UserException">It has no adapter, or no family has the model or a matrix.</exception>
    public static string Peft(Checkpoint checkpoint, string output, ScalarType type) => PeftExport.Write(checkpoint, output, type);

    /// <summary>Writes a GGUF file for llama.cpp, and returns llama.cpp's name of the architecture.</summary>
    /// <exception cref="UserException">There is no such checkpoint, llama.cpp lacks the model or tokenizer, or writing fails.</exception>
    public static string Gguf(string checkpoint, string output, GgufType type) => Gguf(Checkpoint.Open(checkpoint), output, type);

    /// <summary>As above, of a checkpoint that is open.</summary>
    /// <exception cref="UserException">llama.cpp lacks the model or tokenizer, or writing fails.</exception>
    public static string Gguf(Checkpoint checkpoint, string output, GgufType type)
    {
        using IOpenWeights weights = checkpoint.OpenWeights();
        return GgufExport.Write(Source(checkpoint, weights), output, type);
    }

    internal static ExportSource Source(Checkpoint checkpoint, IWeightSource weights) =>
        new(checkpoint.Configuration.Name, checkpoint.Model, checkpoint.Tokenizer, weights, CompanionFiles.In(checkpoint.Directory))
        {
            Data = checkpoint.Configuration.Data,
            Origin = checkpoint.Manifest.Files.ContainsKey(CheckpointFiles.State)
                ? new(CheckpointConfiguration.ReadJson(Path.Combine(checkpoint.Directory, CheckpointFiles.Configuration)),
                    checkpoint.LoadState())
                : null,
        };
}

/// <summary>A model to export: its open weights under the names here, and the files imported with it.</summary>
internal sealed record ExportSource(
    string Name, ModelOptions Model, Tokenizer Tokenizer, IWeightSource Weights, IReadOnlyDictionary<string, JsonObject> Companions)
{
    /// <summary>How it was trained; null for an imported or converted model.</summary>
    public TrainingOrigin? Origin { get; init; }

    /// <summary>The data of its recipe, which names special tokens; null where there is none.</summary>
    public DataOptions? Data { get; init; }

    public int VocabularySize => Model.EmbeddingRows(Tokenizer.VocabularySize);
}
