using Trainer.Configuration;

namespace Trainer.Checkpoints.Gguf;

/// <summary>The families that are written for llama.cpp: one line each.</summary>
internal static class GgufLayouts
{
    private static readonly IReadOnlyDictionary<string, GgufLayout> All = new Dictionary<string, GgufLayout>
    {
        ["llama"] = new LlamaLayout("llama", interleaved: true),
        ["mistral"] = new LlamaLayout("llama", interleaved: true),
        ["mixtral"] = new LlamaLayout("llama", interleaved: true),
        ["qwen2"] = new LlamaLayout("qwen2", interleaved: false),
        ["qwen3"] = new LlamaLayout("qwen3", interleaved: false),
        ["gpt2"] = new Gpt2Layout(),
    };

    /// <summary>The layout of a Hugging Face family.</summary>
    /// <exception cref="UserException">It is not written here.</exception>
    public static GgufLayout Of(string family) => All.TryGetValue(family, out GgufLayout? layout)
        ? layout
        : throw new UserException($"GGUF is written for {string.Join(", ", All.Keys)}, and this model is of the family {family}; use --format huggingface");
}
