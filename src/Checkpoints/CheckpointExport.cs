using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Writes a checkpoint in the format of other programs.</summary>
public static class CheckpointExport
{
    /// <summary>Writes a Hugging Face checkpoint.</summary>
    /// <param name="checkpoint">A checkpoint or run directory.</param>
    /// <param name="output">The directory to write; nothing may be there yet.</param>
    /// <param name="type">float32, float16 or bfloat16.</param>
    /// <param name="shardSize">What one file of weights may hold.</param>
    /// <returns>The family it was written as.</returns>
    /// <exception cref="UserException">There is no such checkpoint, no family has such a model, or the directory cannot be written.</exception>
    public static string HuggingFace(string checkpoint, string output, ScalarType type, ShardSize shardSize)
    {
        Checkpoint opened = Checkpoint.Open(checkpoint);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(opened.Directory, CheckpointFiles.Model));
        return HuggingFaceExport.Write(Source(opened, weights), output, type, shardSize);
    }

    /// <summary>Writes a GGUF file for llama.cpp.</summary>
    /// <param name="checkpoint">A checkpoint or run directory.</param>
    /// <param name="output">The file to write.</param>
    /// <param name="type">How matrices are stored.</param>
    /// <returns>llama.cpp's name of the architecture.</returns>
    /// <exception cref="UserException">There is no such checkpoint, llama.cpp has no such model or tokenizer, or the file cannot be written.</exception>
    public static string Gguf(string checkpoint, string output, GgufType type)
    {
        Checkpoint opened = Checkpoint.Open(checkpoint);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(opened.Directory, CheckpointFiles.Model));
        return GgufExport.Write(Source(opened, weights), output, type);
    }

    private static ExportSource Source(Checkpoint checkpoint, WeightFiles weights) =>
        new(checkpoint.Configuration.Name, checkpoint.Model, checkpoint.Tokenizer, weights, CompanionFiles.In(checkpoint.Directory));
}
