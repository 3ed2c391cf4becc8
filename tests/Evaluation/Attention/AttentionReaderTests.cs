using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Evaluation.Attention;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests.Attention;

public sealed class AttentionReaderTests
{
    [Fact]
    public void Every_query_of_a_decoder_shares_out_all_of_its_attention_among_itself_and_what_was_before()
    {
        using LanguageModel model = TinyModel.Build();
        model.train();
        var stack = Assert.Single(new AttentionReader(model, ByteTokenizer.Instance).Read("tiny", "the cat").Stacks);

        Assert.True(model.training);
        Assert.Equal(("decoder", 7, 7), (stack.Name, stack.Queries.Count, stack.Keys.Count));
        Assert.Equal([(0, 2), (1, 2)], stack.Layers.Select(layer => (layer.Index, layer.Heads)));
        foreach (var layer in stack.Layers)
            foreach (var (row, i) in layer.Weights.Chunk(7).Select((row, i) => (row, i)))
            {
                Assert.Equal(1, row.Sum(), 1e-5);
                Assert.All(row[(i % 7 + 1)..], weight => Assert.Equal(0, weight));
            }
        // Large random weights: a head that shared evenly would not have been read from the model.
        Assert.Contains(stack.Layers[0].Weights.Chunk(7), row => row.Max() > 0.6f && row.Max() < 0.999f);
    }

    [Fact]
    public void The_weights_of_a_text_do_not_change_when_it_goes_on()
    {
        using LanguageModel model = TinyModel.Build();
        AttentionReader reader = new(model, ByteTokenizer.Instance);
        var (whole, start) = (reader.Read("", "the cat").Stacks[0].Layers[1].Weights, reader.Read("", "the ").Stacks[0].Layers[1].Weights);
        for (var query = 0; query < 4; query++)
            TensorAssert.Equal(start[(query * 4)..(query * 4 + 4)], whole[(query * 7)..(query * 7 + 4)], 1e-5, $"query {query}");
    }

    [Fact]
    public void An_encoder_decoder_has_three_stacks_over_the_rows_it_was_trained_on()
    {
        EncoderDecoderOptions options =
            new() { Dim = 16, Layers = 3, EncoderLayers = 2, ContextLength = 12, Attention = new MultiHeadOptions { Heads = 2 } };
        using LanguageModel model = options.Build(6);
        AttentionReader reader = new(model, Words);
        var stacks = reader.Read("", "le chat", "the cat the").Stacks.ToDictionary(stack => stack.Name);

        Assert.Equal(["cross", "decoder", "encoder"], stacks.Keys.Order());
        string[] source = ["␣the", "␣cat", "␣the", "␣</s>"], target = ["␣<s>", "␣le", "␣chat"];
        Is("encoder", source, source, layers: 2);
        Is("decoder", target, target, layers: 3);
        Is("cross", target, source, layers: 3);
        Assert.All(stacks["cross"].Layers.SelectMany(layer => layer.Weights.Chunk(4)), row => Assert.Equal(1, row.Sum(), 1e-5));
        Assert.Contains("give it with --source", Assert.Throws<UserException>(() => reader.Read("", "le chat")).Message,
            StringComparison.Ordinal);

        void Is(string name, string[] queries, string[] keys, int layers)
        {
            Assert.Equal(queries, stacks[name].Queries);
            Assert.Equal(keys, stacks[name].Keys);
            Assert.Equal(layers, stacks[name].Layers.Count);
        }
    }

    [Fact]
    public void Nothing_native_is_left_behind()
    {
        using LanguageModel model = TinyModel.Build();
        AttentionReader reader = new(model, ByteTokenizer.Instance);
        reader.Read("", "the cat");
        Finalizers.Run();
        long before = LiveTensors.Count();
        reader.Read("", "the cat");
        Assert.Equal(before, LiveTensors.Count());
    }

    [Theory]
    [InlineData("", null, "the text is empty")]
    [InlineData("much too long for it", null, "the text has 20 tokens, but the model's context holds 12; shorten it by at least 8 tokens")]
    [InlineData("the", "le", "leave --source out")]
    public void What_the_model_cannot_read_is_refused(string text, string? source, string part)
    {
        using LanguageModel model = TinyModel.Build();
        var error = Assert.Throws<UserException>(() => new AttentionReader(model, ByteTokenizer.Instance).Read("", text, source));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    private static Tokenizer Words { get; } = HuggingFaceTokenizer.Parse(JsonNode.Parse("""
        {
          "added_tokens": [
            { "id": 0, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false },
            { "id": 1, "content": "</s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false }
          ],
          "pre_tokenizer": { "type": "WhitespaceSplit" },
          "model": { "type": "WordLevel", "vocab": { "<s>": 0, "</s>": 1, "the": 2, "cat": 3, "le": 4, "chat": 5 }, "unk_token": "<s>" }
        }
        """)!.AsObject(), "words");
}
