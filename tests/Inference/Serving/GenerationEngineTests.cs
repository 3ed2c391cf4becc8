using System.Diagnostics.Metrics;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference.Paging;
using Trainer.Inference.Serving;
using Trainer.Models;
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
    [InlineData("llama", "--cache-tokens (299) must be at least the model's context (300), which one text may fill")]
    [InlineData("experts", "--cache-tokens is for models that the decoder for CPUs takes")]
    public void Too_little_memory_or_none_to_set_is_an_error(string name, string message)
    {
        using LanguageModel model = Build(name);
        int tokens = name == "llama" ? Context - 1 : Context;
        var error = Assert.Throws<ConfigurationException>(() => new GenerationEngine(model, Vocabulary, CPU, new() { CacheTokens = tokens }));
        Assert.Contains(message, error.Message);
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
