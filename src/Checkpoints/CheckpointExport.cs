using System.Text.Json.Nodes;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Writes a checkpoint in the formats of other programs.</summary>
public static class CheckpointExport
{
    /// <summary>Writes a Hugging Face checkpoint to a new or empty directory, in float32, float16 or bfloat16.</summary>
    /// <returns>The family it was written as.</returns>
    /// <exception cref="UserException">There is no such checkpoint, no family has such a model, or the directory cannot be
    /// written.</exception>
    public static string HuggingFace(string checkpoint, string output, ScalarType type, ShardSize shardSize)
    {
        Checkpoint opened = Checkpoint.Open(checkpoint);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(opened.Directory, CheckpointFiles.Model));
        return HuggingFaceExport.Write(Source(opened, weights), output, type, shardSize);
    }

    /// <summary>Writes a GGUF file for llama.cpp.</summary>
    /// <returns>llama.cpp's name of the architecture.</returns>
    /// <exception cref="UserException">There is no such checkpoint, llama.cpp has no such model or tokenizer, or the file cannot be
    /// written.</exception>
    public static string Gguf(string checkpoint, string output, GgufType type)
    {
        Checkpoint opened = Checkpoint.Open(checkpoint);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(opened.Directory, CheckpointFiles.Model));
        return GgufExport.Write(Source(opened, weights), output, type);
    }

    private static ExportSource Source(Checkpoint checkpoint, WeightFiles weights) =>
        new(checkpoint.Configuration.Name, checkpoint.Model, checkpoint.Tokenizer, weights, CompanionFiles.In(checkpoint.Directory));
}

/// <summary>A model to write in another program's format: its open weights under the names here, and the
/// <see cref="HuggingFace.CompanionFiles"/> imported with it.</summary>
internal sealed record ExportSource(
    string Name, ModelOptions Model, Tokenizer Tokenizer, IWeightSource Weights, IReadOnlyDictionary<string, JsonObject> Companions)
{
    /// <summary>Rows of the token embedding, V.</summary>
    public int VocabularySize => Model.EmbeddingRows(Tokenizer.VocabularySize);
}
