using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Devices;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

public sealed class TextGeneratorTests : IDisposable
{
    private readonly LanguageModel model = TinyModel.Build();
    private readonly Tokenizer tokenizer = ByteTokenizer.Instance;
    private readonly TextGenerator generator;

    public TextGeneratorTests() => generator = new TextGenerator(model, tokenizer, CPU);

    public void Dispose() => model.Dispose();

    [Fact]
    public void Greedy_text_is_that_of_the_full_forward_pass_within_a_context()
    {
        int[] prompt = [72, 105, 33];

        int[] generated = [.. generator.Generate(prompt, Greedy(TinyModel.Context - 3))];

        List<int> expected = [.. prompt];
        while (expected.Count < TinyModel.Context) expected.Add(ArgMax(expected));
        Assert.Equal(expected[3..], generated);
        Assert.True(generated.Distinct().Count() > 1);
    }

    [Fact]
    public void Past_the_context_it_goes_on_from_the_last_half()
    {
        int[] prompt = [72, 105, 33];

        int[] generated = [.. generator.Generate(prompt, Greedy(3 * TinyModel.Context))];

        List<int> text = [.. prompt];
        int start = 0;
        foreach (int id in generated)
        {
            if (text.Count - start > TinyModel.Context) start = text.Count - TinyModel.Context / 2;
            Assert.Equal(ArgMax(text[start..]), id);
            text.Add(id);
        }
        Assert.Equal(3 * TinyModel.Context, generated.Length);
    }

    [Fact]
    public void A_prefix_is_read_whole_from_the_prompt_and_where_the_context_is_made_anew()
    {
        const int prefix = 8; // more than half a context
        using LanguageModel reader = TinyModel.Build(dropout: 0, prefix);
        TextGenerator own = new(reader, tokenizer, CPU);
        int[] prompt = [72, 105, 33, 1, 2, 3, 4, 5, 6];

        int[] generated = [.. own.Generate(prompt, Greedy(2 * TinyModel.Context))];

        List<int> text = [.. prompt];
        int start = 0;
        foreach (int id in generated)
        {
            if (text.Count - start > TinyModel.Context) start = text.Count - prefix;
            Assert.Equal(ArgMax(text[start..], reader), id);
            text.Add(id);
        }
        Assert.Equal(
            "the prompt has 3 tokens, but the model reads a prefix of 8 together before it writes (attention pattern 'prefix'); give at " +
                "least 8 tokens",
            Assert.Throws<PromptException>(() => own.Encode("Hi!")).Message);
    }

    [Fact]
    public void A_prompt_begins_as_the_tokenizer_says_and_what_it_ends_texts_with_is_left_out()
    {
        Assert.Equal([1, 4, 5], Of(Framed).Encode("a cat"));
        Assert.Equal([4, 5], Of(Plain).Encode("a cat"));
        Assert.Equal([4, 5], Of(Framed, beginning: []).Encode("a cat"));
        Assert.Equal([2, 4, 5], Of(Framed, beginning: [2]).Encode("a cat"));
        Assert.Equal([1], Of(Framed).Encode("")); // the model may begin by itself
        Assert.Throws<PromptException>(() => Of(Plain).Encode(""));
        int[] free = [.. Of(Framed).Generate([1, 4, 5], Greedy(5))];
        Assert.Equal(Framed.Decode([4, 5, .. free]), "a cat" + string.Concat(Of(Framed).Stream("a cat", Greedy(5))));
        int[] plain = [.. Of(Framed).Generate([4, 5], Greedy(5))];
        Assert.Equal(Framed.Decode([4, 5, .. plain]), "a cat" + string.Concat(Of(Plain).Stream("a cat", Greedy(5))));
        Assert.NotEqual(string.Concat(Of(Plain).Stream("a cat", Greedy(5))), string.Concat(Of(Framed).Stream("a cat", Greedy(5))));
    }

    [Fact]
    public void The_prompt_s_beginning_counts_in_the_context_and_stays_when_it_is_made_anew()
    {
        Assert.Equal(
            "the prompt has 13 tokens, but the model's context holds 12; shorten the prompt by at least 1 tokens, or train with a " +
                "larger model.contextLength",
            Assert.Throws<PromptException>(() => Of(Framed).Encode(string.Join(' ', Enumerable.Repeat("cat", 12)))).Message);
        List<int> text = [1, 4, 5];
        int left = 0;
        for (int step = 0; step < 3 * TinyModel.Context; step++)
        {
            if (text.Count - left > TinyModel.Context) left = text.Count - TinyModel.Context / 2;
            text.Add(ArgMax(left == 0 ? text : [1, .. text[(left + 1)..]], model, Framed.VocabularySize));
        }
        Assert.Equal(Framed.Decode([.. text[1..]]), "a cat" + string.Concat(Of(Framed).Stream("a cat", Greedy(3 * TinyModel.Context))));
    }

    [Theory]
    [InlineData("word")]
    [InlineData("metaspace")]
    public void A_prompt_and_its_continuation_are_the_text_of_all_their_tokens(string kind)
    {
        Tokenizer words = kind == "word" ? LearnWords("a cat sat here") : Metaspace;
        int[] prompt = words.Encode("a cat"), text = [.. Of(words).Generate(prompt, Greedy(5))];
        Assert.Equal(words.Decode([.. prompt, .. text]), "a cat" + string.Concat(Of(words).Stream("a cat", Greedy(5))));
    }

    [Fact]
    public void An_answer_is_decoded_by_itself_and_ends_before_any_token_that_ends_messages()
    {
        ChatTemplate template = new("{% for message in messages %}{{ message.content }}{% endfor %}");
        int[] free = [.. Of(Plain).Generate([4, 5], Greedy(8))];
        Assert.Equal(Plain.Decode(free), Answer(Of(Plain)));
        int[] ended = [.. free.TakeWhile(id => id != free[^1])];
        Assert.Equal(Plain.Decode(ended), Answer(new(model, Plain, CPU, messageEnds: [free[^1]])));

        string Answer(TextGenerator words) => string.Concat(words.Answer([new("user", "a cat")], template, Greedy(8)));
    }

    [Fact]
    public void An_encoder_decoder_begins_to_write_with_a_token_of_its_own()
    {
        using LanguageModel writer = TinyModel.BuildEncoderDecoder();
        Assert.Empty(new TextGenerator(writer, Framed, CPU).Beginning);
        Assert.Equal([4, 5, 2], new TextGenerator(writer, Framed, CPU).Encode("a cat"));
        Assert.DoesNotMatch("^ ", string.Concat(new TextGenerator(writer, Framed, CPU).Stream("a cat", Greedy(5))));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(1)]
    public void An_imported_encoder_decoder_has_its_own_tokens_around_both_texts(int? forced)
    {
        using LanguageModel writer = TinyModel.BuildEncoderDecoder(Framed.VocabularySize);
        TextGenerator imported = new(writer, Framed, CPU, special: new(2, 2) { Before = [1], Forced = forced });
        int[] source = imported.Encode("a cat");
        Assert.Equal([1, 4, 5, 2], source);
        Assert.Throws<PromptException>(() => imported.Encode(string.Join(' ', Enumerable.Repeat("cat", TinyModel.Context - 1))));

        List<int> text = forced is { } first ? [2, first] : [2];
        int given = text.Count;
        while (text.Count < TinyModel.Context + 1 && (text.Count == given || text[^1] != 2)) text.Add(Next(writer, source, text));
        Assert.Equal(
            Framed.Decode([.. text[given..].Where(id => id is not (1 or 2))]), string.Concat(imported.Stream("a cat", Greedy(100))));

        static int Next(LanguageModel writer, int[] source, List<int> text)
        {
            writer.eval();
            using DisposeScope scope = NewDisposeScope();
            using IDisposable quiet = inference_mode();
            ModelInput input = new(Row(text)) { Source = new(Row(source)) };
            return (int)writer.call(input).select(1, text.Count - 1).argmax().ToInt64();
        }

        static Tensor Row(IReadOnlyCollection<int> ids) => tensor([.. ids.Select(id => (long)id)], [1, ids.Count]);
    }

    [Fact]
    public void Pieces_add_up_to_the_decoded_tokens()
    {
        GenerationOptions options = new() { Tokens = 40, Sampling = new() { Seed = 3 } };

        string streamed = string.Concat(generator.Stream("é and", options));

        Assert.Equal(tokenizer.Decode([.. generator.Generate(tokenizer.Encode("é and"), options)]), streamed);
    }

    [Fact]
    public void The_seed_decides_and_nothing_else_does()
    {
        string Run(long seed) => string.Concat(generator.Stream("a", new() { Tokens = 30, Sampling = new() { Seed = seed } }));
        string first = Run(1);
        manual_seed(99);

        Assert.Equal(first, Run(1));
        Assert.NotEqual(first, Run(2));
    }

    [Fact]
    public void A_prompt_of_exactly_a_context_is_taken() =>
        Assert.NotEmpty(generator.Generate([.. Enumerable.Range(1, TinyModel.Context)], Greedy(2)));

    [Fact]
    public void A_prompt_longer_than_the_context_is_refused_with_both_numbers()
    {
        var error = Assert.Throws<PromptException>(() => generator.Stream("fifteen letters"));

        Assert.Equal(
            "the prompt has 15 tokens, but the model's context holds 12; shorten the prompt by at least 3 tokens, or train with a " +
                "larger model.contextLength",
            error.Message);
    }

    [Fact]
    public void An_empty_prompt_is_refused() => Assert.Equal(
        "the prompt is empty: there is nothing to continue; give at least one character",
        Assert.Throws<PromptException>(() => generator.Stream("")).Message);

    [Fact]
    public void Options_are_checked_before_anything_is_generated()
    {
        var error = Assert.Throws<ConfigurationException>(() => generator.Stream("a", new() { Tokens = 0, Sampling = new() { TopK = 0 } }));

        Assert.Equal(["tokens", "sampling.topK"], error.Problems.Select(problem => problem.Path));
    }

    [Fact]
    public void Training_goes_on_in_its_mode_and_no_tensor_stays_even_when_stopped_midway()
    {
        model.train();
        _ = string.Concat(generator.Stream("a", new() { Tokens = 3 }));
        Finalizers.Run();
        long live = LiveTensors.Count();

        for (int i = 0; i < 10; i++) _ = generator.Generate([1, 2], Greedy(30)).Take(20).Count();

        Assert.Equal(live, LiveTensors.Count());
        Assert.True(model.training);
        using DisposeScope scope = NewDisposeScope();
        Tensor one = ones([1, 4], dtype: ScalarType.Int64);
        model.LossSum(one, one).backward(); // gradients still flow outside
    }

    private static readonly Tokenizer Framed = TinyTokenizer.Words(framed: true), Plain = TinyTokenizer.Words(framed: false);

    private static readonly Tokenizer Metaspace = HuggingFaceTokenizer.Parse((JsonObject)JsonNode.Parse("""
        {
          "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
          "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
          "model": {"type": "WordLevel", "unk_token": "▁here", "vocab": {"▁a": 0, "▁cat": 1, "▁sat": 2, "▁here": 3}}
        }
        """)!, "metaspace");

    private static Tokenizer LearnWords(string text)
    {
        TokenizerTrainer trainer = new WordTokenizerOptions().CreateTrainer();
        trainer.Observe(text);
        return trainer.Build();
    }

    private TextGenerator Of(Tokenizer words, IReadOnlyList<int>? beginning = null) => new(model, words, CPU, end: null, beginning);

    private static GenerationOptions Greedy(int tokens) => new() { Tokens = tokens, Sampling = new() { Greedy = true } };

    private int ArgMax(List<int> text) => ArgMax(text, model);

    private static int ArgMax(List<int> text, LanguageModel model, int known = 256)
    {
        bool training = model.training;
        model.eval();
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = inference_mode();
        Tensor logits = model.call(tensor([.. text.Select(id => (long)id)], [1, text.Count]));
        int best = (int)logits.select(1, text.Count - 1).narrow(-1, 0, known).argmax().ToInt64();
        model.train(training);
        return best;
    }

    [Fact]
    public void A_continuation_stops_before_the_token_that_ends_documents()
    {
        using LanguageModel model = TinyModel.Build();
        GenerationOptions options = new() { Tokens = 30, Sampling = new() { Greedy = true } };
        int[] free = [.. new TextGenerator(model, ByteTokenizer.Instance, CPU).Generate([65], options)];
        int end = free[7];
        string text = string.Concat(new TextGenerator(model, ByteTokenizer.Instance, CPU, end).Stream("A", options));
        Assert.Equal(ByteTokenizer.Instance.Decode([.. free.TakeWhile(id => id != end)]), text);
    }

    [Fact]
    public void An_opened_checkpoint_generates_and_frees_its_model()
    {
        using TemporaryDirectory directory = new();
        string path = TinyCheckpoint.Write(TinyCheckpoint.Decoder, directory.File("checkpoint")).Directory;
        TextGenerator opened = TextGenerator.Open(path, DeviceChoice.Cpu);
        Assert.Equal(string.Concat(opened.Stream("to be", Greedy(20))), opened.Generate("to be", Greedy(20)));
        Finalizers.Run();
        long live = torch.Tensor.TotalCount;
        opened.Dispose();
        Assert.True(torch.Tensor.TotalCount < live);
    }

    [Fact]
    public void Rows_of_padded_embeddings_are_never_drawn()
    {
        using LanguageModel model =
            new DecoderOptions { Dim = 16, Layers = 1, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 2 } }.Build(256 + 512);
        int[] ids = [.. new TextGenerator(model, ByteTokenizer.Instance, CPU).Generate([65], new() { Tokens = 200 })];
        Assert.All(ids, id => Assert.InRange(id, 0, 255));
    }
}
