using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

/// <summary>Checkpoints in Fixtures/ with the logits that their own implementation gives.</summary>
internal static class Goldens
{
    // Some differ in their configuration alone, and have the weights of this one.
    private const string SharedWeights = "llama";

    /// <summary>All checkpoints here.</summary>
    public static IReadOnlyList<string> Importable { get; } =
        ["llama", "llama-biased-tied", "llama-linear", "llama-dynamic", "llama-yarn", "llama-yarn-factor", "llama-3", "mistral", "qwen2",
            "qwen2-window", "qwen3", "mixtral", "deepseek-v3", "gpt2", "gpt-neox", "gpt-neox-serial", "bloom", "bert", "t5-v1.0", "t5-v1.1",
            "bart"];

    /// <summary>Whether a tensor holds rows that no text reads, which are not taken over.</summary>
    public static bool IsFolded(string tensor) =>
        tensor.Contains("embed_positions") || tensor.Contains("position_embeddings") || tensor.Contains("token_type_embeddings");

    public static string PathOf(string name)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Fixtures", name);
        string weights = Path.Combine(folder, WeightFiles.Single);
        if (!File.Exists(weights)) File.Copy(Path.Combine(PathOf(SharedWeights), WeightFiles.Single), weights);
        return folder;
    }

    public static SafetensorsFile Expected(string name) => SafetensorsFile.Open(Path.Combine(PathOf(name), "expected.safetensors"));

    public static HuggingFaceImport Open(string name) => HuggingFaceImport.Open(PathOf(name), _ => { });

    /// <summary>The model with the weights of a checkpoint, in evaluation mode.</summary>
    public static LanguageModel Build(HuggingFaceImport source)
    {
        LanguageModel model = source.Options.Build(source.Tokenizer.VocabularySize);
        using var gradients = no_grad();
        Dictionary<string, Tensor> state = model.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value);
        Assert.Equal(state.Keys.Order(), source.Weights.Select(weight => weight.Name).Order());
        foreach (PendingTensor weight in source.Weights)
        {
            using Tensor value = weight.Read();
            Assert.Equal(weight.Shape, state[weight.Name].shape);
            state[weight.Name].copy_(value);
        }
        model.eval();
        return model;
    }
}
