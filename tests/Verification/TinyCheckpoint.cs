using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Verification.Tests;

/// <summary>Small models of each family that GGUF takes, with random weights so large that what they say depends on all they have read.</summary>
internal static class TinyCheckpoint
{
    public const int Context = 96;

    private const string Sample = "the keeper wrote the weather, the winds and the ships; then the others wrote what the keeper had written " +
        "there: 1911 figures, and the clerk added the figures, and then the clerk wrote the sum of the figures to the shelf of the keeper";

    // What makes a family: everything else is alike.
    private static readonly Dictionary<string, string> Families = new()
    {
        ["gpt2"] = """
            "bias": true, "tieEmbeddings": true, "attention": {"type": "multi-head", "heads": 4}, "position": {"type": "learned"},
            "feedForward": {"type": "gelu-tanh"}, "norm": {"type": "layer"}
            """,
        ["llama"] = Rotary("", """{"type": "swiglu", "hiddenDim": 256}"""),
        ["mistral"] = Rotary(""", "pattern": {"type": "sliding", "window": 96}""", """{"type": "swiglu", "hiddenDim": 256}"""),
        ["mixtral"] = Rotary("", """{"type": "experts", "experts": 4, "active": 2, "hiddenDim": 64}"""),
        ["qwen2"] = Rotary(""", "bias": true""", """{"type": "swiglu", "hiddenDim": 256}"""),
        ["qwen3"] = Rotary(""", "headDim": 32, "queryKeyNorm": true""", """{"type": "swiglu", "hiddenDim": 256}"""),
    };

    /// <summary>Writes a checkpoint of a family, with a learned tokenizer or one of bytes.</summary>
    public static Checkpoint Write(string path, string family, bool bytes = false, int dim = 256)
    {
        ModelOptions options = ConfigurationJson.Deserialize<ModelOptions>($$"""
            {"architecture": "decoder", "dim": {{dim}}, "layers": 2, "contextLength": {{Context}}, {{Families[family]}}}
            """, family);
        Tokenizer tokenizer = bytes ? ByteTokenizer.Instance : Learned(family);
        manual_seed(5);
        using LanguageModel model = options.Build(tokenizer.VocabularySize);
        using (no_grad())
            foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(4);
        CheckpointConfiguration configuration = new()
        {
            Name = family, Model = options, Tokenizer = new ByteTokenizerOptions(), Data = new() { Train = [new() { Path = "none.txt" }] },
        };
        return Checkpoint.Write(path, configuration, tokenizer, model);
    }

    private static string Rotary(string attention, string feedForward) => $$"""
        "bias": false, "tieEmbeddings": false, "attention": {"type": "grouped-query", "heads": 4, "keyValueHeads": 2{{attention}}},
        "position": {"type": "rotary"}, "feedForward": {{feedForward}}, "norm": {"type": "rms"}
        """;

    // Words are cut as the family's own tokenizer does: GPT-2's, Llama 3's, or Qwen's, which is Llama 3's but for single digits.
    private static Tokenizer Learned(string family)
    {
        TokenizerTrainer trainer = new BpeTokenizerOptions
        {
            VocabularySize = 320, SpecialTokens = ["<|endoftext|>"], Pattern = family == "gpt2" ? SplitPattern.Gpt2 : SplitPattern.Cl100k,
        }.CreateTrainer();
        trainer.Observe(Sample);
        Tokenizer learned = trainer.Build();
        if (!family.StartsWith("qwen", StringComparison.Ordinal)) return learned;
        string json = learned.ToJson().ToJsonString(), single = json.Replace(@"\\p{N}{1,3}", @"\\p{N}");
        Assert.NotEqual(json, single);
        return HuggingFaceTokenizer.Parse((JsonObject)JsonNode.Parse(single)!, family);
    }
}
