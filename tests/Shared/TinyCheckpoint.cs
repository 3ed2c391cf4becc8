using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Tests;

/// <summary>Checkpoints of tiny models, by default over bytes, with large random weights: their texts depend on all they have read.
/// </summary>
internal static class TinyCheckpoint
{
    public const int Context = 64;

    public static ModelOptions Decoder { get; } = new DecoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new MultiHeadOptions { Heads = 2 },
    };

    public static ModelOptions Encoder { get; } = new EncoderOptions
    {
        Dim = 32, Layers = 2, ContextLength = Context, Attention = new MultiHeadOptions { Heads = 2 },
    };

    /// <summary>Writes one, named <c>tiny</c>.</summary>
    /// <param name="options">Of the model.</param>
    /// <param name="path">A new folder.</param>
    /// <param name="chatTemplate">In Jinja; null for none.</param>
    /// <param name="scale">What matrices are multiplied with.</param>
    /// <param name="tokenizer">Of words; null for bytes.</param>
    public static Checkpoint Write(
        ModelOptions options, string path, string? chatTemplate = null, double scale = 20, Tokenizer? tokenizer = null)
    {
        manual_seed(5);
        using LanguageModel model = options.Build(tokenizer?.VocabularySize ?? 256);
        using (no_grad())
            foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(scale);
        CheckpointConfiguration configuration = new()
        {
            Name = "tiny", Model = options, Tokenizer = tokenizer is null ? new ByteTokenizerOptions() : new WordTokenizerOptions(),
            Data = new() { Train = [new() { Path = "none.txt" }] },
        };
        Checkpoint checkpoint = Checkpoint.Write(path, configuration, tokenizer ?? ByteTokenizer.Instance, model);
        if (chatTemplate is not null)
            File.WriteAllText(
                Path.Combine(checkpoint.Directory, "chat_template.json"), new JsonObject { ["template"] = chatTemplate }.ToJsonString());
        return checkpoint;
    }
}
