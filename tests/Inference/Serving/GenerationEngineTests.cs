using System.Diagnostics.Metrics;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference.Paging;
using Trainer.Inference.Serving;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests.Serving;

public sealed class GenerationEngineTests
{
    private const int Vocabulary = 23, Context = 300;

    [Theory]
    [InlineData("llama", Context)] // one context for all: requests wait, and are interrupted
    [InlineData("gpt", 2 * Context)]
    [InlineData("gemma", 2 * Context)]
    [InlineData("mistral", Context)]
    [InlineData("llama", null)]
    public async Task Every_text_is_what_it_is_alone_however_little_memory_there_is(string name, int? cacheTokens)
    {
        using LanguageModel model = Build(name), same = Build(name);
        using GenerationEngine engine = new(model, Vocabulary, CPU, new() { CacheTokens = cacheTokens });
        using Counts counts = new(engine);
        Random random = new(1);
        int[] system = Ids(PromptReading.Piece + 5, random);
        int[][] prompts = [.. Enumerable.Range(0, 30).Select(
            i => (int[])[.. i % 3 == 0 ? system : [], .. Ids(random.Next(1, 120), random)])];
        GenerationStream[] streams = [.. prompts.Select(prompt => engine.Generate(Request(prompt)))];
        TextGenerator alone = new(same, ByteTokenizer.Instance, CPU);
        for (int i = 0; i < prompts.Length; i++)
            Assert.Equal(alone.Generate(prompts[i], new() { Tokens = 40, Sampling = new() { Greedy = true } }), await Tokens(streams[i]));

        bool fits = cacheTokens is null || name == "mistral"; // windows always have room
        Assert.Equal(fits, counts["interruptions"] == 0);
        Assert.Equal(prompts.Sum(prompt => prompt.Length), counts["prompt_tokens"]);
        Assert.Equal(30 * 40, counts["generated_tokens"]);
        if (fits) Assert.InRange(counts["shared_prompt_tokens"], PromptReading.Piece, 10 * PromptReading.Piece);
    }

    [Fact]
    public async Task A_beginning_that_was_read_before_is_not_read_again()
    {
        using LanguageModel model = Build("llama");
        using GenerationEngine engine = new(model, Vocabulary, CPU);
        int[] prompt = Ids(200, new(1));
        GenerationStream first = engine.Generate(Request(prompt));
        int[] text = await Tokens(first);
        GenerationStream second = engine.Generate(Request(prompt));
        Assert.Equal(text, await Tokens(second));
        Assert.Equal((0, PromptReading.Piece), (first.SharedTokens, second.SharedTokens));
    }

    [Theory]
    [InlineData(7)]
    [InlineData(int.MaxValue)]
    public async Task Tokens_that_are_handed_over_together_are_the_same(int interval)
    {
        using LanguageModel model = Build("llama");
        using GenerationEngine engine = new(model, Vocabulary, CPU);
        GenerationRequest request = Request([1, 2, 3]);
        Assert.Equal(await Tokens(engine.Generate(request)), await Tokens(engine.Generate(request with { StreamInterval = interval })));
    }

    [Fact]
    public async Task Who_gives_up_leaves_the_queue_at_once()
    {
        using LanguageModel model = Build("llama");
        using GenerationEngine engine = new(model, Vocabulary, CPU, new() { Parallel = 1, QueueLength = 3 });
        GenerationStream running = engine.Generate(Request([1]) with { MaxTokens = 250 });
        await using IAsyncEnumerator<GeneratedToken> tokens = running.GetAsyncEnumerator();
        await tokens.MoveNextAsync();
        List<GenerationStream> waiting = [];
        Assert.Throws<EngineBusyException>((Action)(() =>
        {
            while (true) waiting.Add(engine.Generate(Request([2])));
        }));
        waiting.ForEach(stream => stream.Dispose());
        Assert.Equal(0, engine.Waiting);
        GenerationStream last = engine.Generate(Request([3]));
        running.Dispose();
        Assert.Equal(40, (await Tokens(last)).Length);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("experts")] // which the decoder for CPUs does not take
    public void Less_memory_than_a_context_is_an_error(string name)
    {
        using LanguageModel model = Build(name);
        var error = Assert.Throws<ConfigurationException>(
            () => new GenerationEngine(model, Vocabulary, CPU, new() { CacheTokens = Context - 1 }));
        Assert.Contains("--cache-tokens (299) must be at least the model's context (300), which one text may fill", error.Message);
    }

    public static TheoryData<string, int?> OfTheModel =>
        [.. CpuDecoderTests.Others.Keys.Select(name => (name, (int?)null)), ("latent attention", Context), ("state space", 2 * Context)];

    [Theory]
    [MemberData(nameof(OfTheModel))]
    public async Task Every_text_of_a_model_that_decodes_itself_is_what_it_is_alone(string name, int? cacheTokens)
    {
        using LanguageModel model = Build(CpuDecoderTests.Others[name]), same = Build(CpuDecoderTests.Others[name]);
        TextGenerator alone = new(same, ByteTokenizer.Instance, CPU);
        Random random = new(1);
        // Six that outgrow 128 tokens at about the same time.
        int[][] prompts = [.. Enumerable.Range(0, 15).Select(i => Ids(i < 6 ? random.Next(110, 128) : random.Next(3, 270), random))];
        int[] lengths = [.. prompts.Select((_, i) => i < 6 ? 28 : random.Next(1, 28))];
        await Compare();
        Finalizers.Run();
        long live = LiveTensors.Count();
        await Compare();
        int tables = name == "t5 bias" ? 4 : 0; // of some steps, which are kept
        // Fewer are no leak: what tests before this one left may be freed meanwhile.
        Assert.InRange(LiveTensors.Count() - live, long.MinValue, tables);

        async Task Compare()
        {
            using GenerationEngine engine = new(model, Vocabulary, CPU, new() { CacheTokens = cacheTokens });
            using Counts counts = new(engine);
            GenerationStream[] streams =
                [.. prompts.Select((prompt, i) => engine.Generate(Request(prompt) with { MaxTokens = lengths[i] }))];
            for (int i = 0; i < prompts.Length; i++)
                Assert.Equal(
                    alone.Generate(prompts[i], new() { Tokens = lengths[i], Sampling = new() { Greedy = true } }), await Tokens(streams[i]));
            Assert.Equal(lengths.Sum(), counts["generated_tokens"]);
            Assert.Equal(cacheTokens is null, counts["interruptions"] == 0);
        }
    }

    [Fact]
    public async Task Translations_of_texts_of_different_lengths_are_what_they_are_alone()
    {
        using LanguageModel model = TinyModel.BuildEncoderDecoder(), same = TinyModel.BuildEncoderDecoder();
        using GenerationEngine engine = new(model, 256, CPU);
        Random random = new(1);
        int[][] sources = [.. Enumerable.Range(0, 20).Select(i => Ids(1 + i % TinyModel.Context, random))];
        GenerationStream[] streams = [.. sources.Select((source, i) => engine.Generate(
            Request([1]) with { Source = source, MaxTokens = 1 + i % (TinyModel.Context - 1) }))];
        for (int i = 0; i < sources.Length; i++)
        {
            using Tensor source = tensor([.. sources[i].Select(id => (long)id)], [1, sources[i].Length]);
            using DecodingSession alone = new(same, CPU, source: source);
            List<int> text = [1];
            while (text.Count <= 1 + i % (TinyModel.Context - 1))
            {
                float[] logits = alone.Next(text).ToArray();
                text.Add(Array.IndexOf(logits, logits.Max()));
            }
            Assert.Equal(text.Skip(1), await Tokens(streams[i]));
        }
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("experts")]
    public async Task More_than_the_queue_holds_are_refused_and_the_others_are_served(string name)
    {
        using LanguageModel model = Build(name);
        using GenerationEngine engine = new(model, Vocabulary, CPU, new() { Parallel = 1, QueueLength = 2 });
        List<GenerationStream> streams = [];
        Assert.Throws<EngineBusyException>(() =>
        {
            for (int i = 0; i < 100; i++) streams.Add(engine.Generate(Request([1, 2])));
        });

        Assert.True(streams.Count >= 3);
        foreach (GenerationStream stream in streams)
            Assert.Equal(FinishReason.Length, (await stream.LastAsync()).Finish);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("experts")]
    public async Task What_runs_and_waits_ends_with_the_engine(string name)
    {
        using LanguageModel model = Build(name);
        GenerationEngine engine = new(model, Vocabulary, CPU, new() { Parallel = 2 });
        GenerationStream[] streams = [.. Enumerable.Range(0, 50).Select(_ => engine.Generate(Request([1, 2])))];
        engine.Dispose();

        await Assert.ThrowsAsync<OperationCanceledException>(async () => await streams[^1].LastAsync());
        Assert.Throws<ObjectDisposedException>(() => engine.Generate(Request([1, 2])));
    }

    [Fact]
    public void More_side_by_side_than_the_decoder_for_cpus_takes_is_an_error_which_others_have_no_limit_for()
    {
        using LanguageModel model = Build("llama"), experts = Build("experts");
        Assert.Contains("--parallel (9) must be 1 to 8", Assert.Throws<ConfigurationException>(
            () => new GenerationEngine(model, Vocabulary, CPU, new() { Parallel = 9 })).Message);
        using GenerationEngine engine = new(experts, Vocabulary, CPU, new() { Parallel = 9 });
    }

    private static GenerationRequest Request(IReadOnlyList<int> prompt) =>
        new() { Prompt = prompt, MaxTokens = 40, Sampling = new() { Greedy = true } };

    private static async Task<int[]> Tokens(GenerationStream stream)
    {
        List<int> ids = [];
        await foreach (GeneratedToken token in stream) ids.Add(token.Id);
        return [.. ids];
    }

    private static int[] Ids(int count, Random random) => [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];

    private static LanguageModel Build(ModelOptions options) => CpuDecoderTests.Build(options with { ContextLength = Context });

    private static LanguageModel Build(string name) => CpuDecoderTests.Build(
        name == "experts"
            ? CpuDecoderTests.Taken["llama"] with { ContextLength = Context, FeedForward = CpuDecoderTests.Experts }
            : CpuDecoderTests.Taken[name] with { ContextLength = Context });

    // What an engine's instruments counted.
    private sealed class Counts : IDisposable
    {
        private readonly MeterListener listener = new();
        private readonly Dictionary<string, long> sums = [];

        public Counts(GenerationEngine engine)
        {
            listener.InstrumentPublished = (instrument, listener) =>
            {
                if (ReferenceEquals(instrument.Meter.Scope, engine)) listener.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
            {
                lock (sums) sums[instrument.Name] = sums.GetValueOrDefault(instrument.Name) + value;
            });
            listener.Start();
        }

        public long this[string name]
        {
            get { lock (sums) return sums.GetValueOrDefault(name); }
        }

        public void Dispose() => listener.Dispose();
    }
}
