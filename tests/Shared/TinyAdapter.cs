using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Tests;

/// <summary>Checkpoints of adapters with random numbers, large enough to change every text.</summary>
internal static class TinyAdapter
{
    /// <summary>Writes one.</summary>
    /// <param name="original">What it goes on.</param>
    /// <param name="path">A new folder.</param>
    /// <param name="options">Of the adapter.</param>
    /// <param name="seed">Of its numbers.</param>
    /// <param name="chatTemplate">In Jinja; null for none.</param>
    public static Checkpoint Write(Checkpoint original, string path, LoraOptions options, int seed, string? chatTemplate = null)
    {
        using LanguageModel model = original.LoadModel(CPU);
        manual_seed(seed);
        model.Attach(options);
        using (no_grad())
            foreach (var parameter in model.parameters().Where(parameter => parameter.requires_grad))
                parameter.add_(randn_like(parameter), 0.3);
        CheckpointConfiguration configuration = original.Configuration with { Name = $"adapted {seed}" };
        Checkpoint written = Checkpoint.Write(path, configuration, original.Tokenizer, model, original);
        if (chatTemplate is not null)
            File.WriteAllText(
                Path.Combine(written.Directory, "chat_template.json"), new JsonObject { ["template"] = chatTemplate }.ToJsonString());
        return written;
    }
}
