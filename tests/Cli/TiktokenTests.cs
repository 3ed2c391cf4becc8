namespace Trainer.Cli.Tests;

/// <summary>A run with a vocabulary out of the packages, through every command that reads its tokenizer.</summary>
public sealed class TiktokenTests
{
    [Fact]
    public void A_small_GPT_2_is_trained_used_exported_and_comes_back_without_its_tokenizer()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("gpt2.json"), """
            {
              "extends": "small.json", "name": "gpt2",
              "model": {
                "dim": 16, "bias": true, "tieEmbeddings": true, "attention": { "type": "multi-head", "heads": 2 },
                "position": { "type": "learned" }, "feedForward": { "type": "gelu-tanh" }, "norm": { "type": "layer" }
              },
              "tokenizer": { "type": "tiktoken", "encoding": "gpt2" }
            }
            """);
        workspace.Succeeds("train", "gpt2.json", "--run", "run", "--set", "training.steps=2", "data.validationFraction=0.4");
        const string Tokenizer = "run/checkpoints/step-00000002/tokenizer.json";
        Assert.Equal("[31373,995,50256,12520,248,234]\n",
            workspace.Answer("\"hello world<|endoftext|> 🚌\"\n", "tokenizer", "encode", Tokenizer).Output);
        Assert.Equal("\"hello world\"\n", workspace.Answer("[31373,995]\n", "tokenizer", "decode", Tokenizer).Output);
        Assert.StartsWith("the model", workspace.Succeeds("generate", "run", "--prompt", "the model", "--tokens", "3").Output,
            StringComparison.Ordinal);

        workspace.Succeeds("export", "run", "--format", "gguf", "--output", "gpt2.gguf");
        var gguf = File.ReadAllText(workspace.PathOf("gpt2.gguf"), System.Text.Encoding.Latin1);
        Assert.All(
            ["tokenizer.ggml.pre", "gpt-2", "tokenizer.ggml.merges", "<|endoftext|>"],
            part => Assert.Contains(part, gguf, StringComparison.Ordinal));

        Assert.Contains("written as gpt2", workspace.Succeeds("export", "run", "--format", "huggingface", "--output", "theirs").Output,
            StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(workspace.PathOf(Tokenizer)), File.ReadAllBytes(workspace.PathOf("theirs/tokenizer.json")));
        File.Delete(workspace.PathOf("theirs/tokenizer.json"));
        Assert.Contains("tokenizer.json: it is missing, so GPT-2's own tokenizer is taken, which has the 50257 tokens of the model",
            workspace.Succeeds("import", "theirs", "--output", "back").Error, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(workspace.PathOf(Tokenizer)), File.ReadAllBytes(workspace.PathOf("back/tokenizer.json")));
    }
}
