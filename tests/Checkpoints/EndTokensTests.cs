using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.Tests;

/// <summary>The tokens that end texts by a checkpoint's <c>generation_config.json</c>.</summary>
public sealed class EndTokensTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("""{ "eos_token_id": 7 }""", new[] { 7 })]
    [InlineData("""{ "eos_token_id": [7, 9] }""", new[] { 7, 9 })]
    [InlineData("""{ "eos_token_id": [7, "nine", null] }""", new[] { 7 })]
    [InlineData("""{ "eos_token_id": null }""", new int[0])]
    [InlineData("""{ "bos_token_id": 1 }""", new int[0])]
    [InlineData(null, new int[0])]
    public void They_are_one_id_or_several(string? generation, int[] expected)
    {
        DecoderOptions options = new() { Dim = 16, Layers = 1, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 2 } };
        using LanguageModel model = options.Build(256);
        Checkpoint checkpoint = Checkpoint.Write(
            folder.PathOf("checkpoint"),
            new() { Name = "tiny", Model = options, Tokenizer = new ByteTokenizerOptions(), Data = new() { Train = [new() { Path = "none" }] } },
            ByteTokenizer.Instance, model);
        if (generation is not null) File.WriteAllText(Path.Combine(checkpoint.Directory, "generation_config.json"), generation);

        Assert.Equal(expected, checkpoint.EndTokens);
    }
}
