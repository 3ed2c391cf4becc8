using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Models;
using Trainer.Models.Attention;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

public class TranslationEvaluatorTests
{
    private static readonly Tokenizer Words = HuggingFaceTokenizer.Parse((JsonObject)JsonNode.Parse("""
        { "model": { "type": "WordLevel", "vocab": { "<s>": 0, "</s>": 1, "a": 2, "b": 3, "c": 4, "<unk>": 5 }, "unk_token": "<unk>" },
          "pre_tokenizer": { "type": "Whitespace" }, "added_tokens": [] }
        """)!, "test");

    [Fact]
    public void Pairs_that_the_context_cuts_are_left_out_and_copying_is_measured_too()
    {
        manual_seed(1);
        using LanguageModel model =
            new EncoderDecoderOptions { Dim = 16, Layers = 1, ContextLength = 5, Attention = new MultiHeadOptions { Heads = 2 } }.Build(6);
        // Rows: a whole pair, one whose source is cut, one whose target is.
        Batch batch = new([0, 3, 2, 0, 4, 4, 0, 2, 2], [3, 2, 1, 4, 4, 1, 2, 2, 2], 3, 3)
        {
            Source = new SourceRows([2, 3, 1, 2, 2, 2, 2, 2, 1], [3, 3, 3], 3),
        };
        TranslationReport report = new TranslationEvaluator(model, Words, CPU, new() { Beams = 2, Tokens = 3 }).Evaluate([batch], most: 10);
        Assert.Equal(1, report.Pairs);
        TranslationExample only = Assert.Single(report.Examples);
        Assert.Equal(("a b", "b a"), (only.Source.Trim(), only.Target.Trim()));
        Assert.Equal(CorpusBleu.Score(["a b"], ["b a"]).Score, report.CopyBleu.Score);
        Assert.Throws<UserException>(() => new TranslationEvaluator(model, Words, CPU, new()).Evaluate([batch.Part(1, 3)], most: 10));
    }

    [Fact]
    public void Tokens_before_the_texts_are_no_part_of_them()
    {
        manual_seed(1);
        using LanguageModel model =
            new EncoderDecoderOptions { Dim = 16, Layers = 1, ContextLength = 5, Attention = new MultiHeadOptions { Heads = 2 } }.Build(6);
        Batch batch = new([1, 0, 3, 2], [0, 3, 2, 1], 1, 4) { Source = new SourceRows([0, 2, 3, 1], [4], 4) };
        SequenceTokens special = new(1, 1) { Before = [0] };
        TranslationExample only = Assert.Single(
            new TranslationEvaluator(model, Words, CPU, new() { Beams = 2, Tokens = 3 }, special).Evaluate([batch], most: 10).Examples);
        Assert.Equal(("a b", "b a"), (only.Source.Trim(), only.Target.Trim()));
        Assert.DoesNotContain("<s>", only.Written);
    }
}
