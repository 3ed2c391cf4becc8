using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Models.Tests.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Caches;

public class CacheDecodingTests
{
    private const int Length = 90;

    public static TheoryData<string, AttentionCache> Cases()
    {
        TheoryData<string, AttentionCache> data = [];
        foreach (var (name, entry) in PatternCases.All.Where(entry => entry.Value.Options.Prefix is not null))
        foreach (AttentionCache cache in Enum.GetValues<AttentionCache>())
        {
            if (cache != AttentionCache.Rolling || entry.Options.KeyWindow is not null) data.Add(name, cache);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Decoding_equals_the_full_forward_over_many_windows(string pattern, AttentionCache cache)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With(PatternCases.All[pattern].Options, cache));
        model.eval();
        Tensor tokens = Models.Tokens(2, Length);
        Tensor expected = model.forward(tokens);
        int first = Math.Max(2, model.PrefixLength);
        foreach (int[] steps in (int[][])[[first, 42 - first, 5, 1, 42], [60, .. Enumerable.Repeat(1, 30)]])
            TensorAssert.Close(expected, Decoding.Run(model, tokens, steps), 5e-5, $"in {steps.Length} steps the result");
    }

    public static MatrixTheoryData<string, AttentionCache> Projections => new(Models.Projections.Keys, Enum.GetValues<AttentionCache>());

    [Theory]
    [MemberData(nameof(Projections))]
    public void Every_cache_holds_every_projection(string projection, AttentionCache cache)
    {
        using DisposeScope scope = NewDisposeScope();
        PatternOptions pattern = cache == AttentionCache.Paged ? new CausalOptions() : new SlidingOptions { Window = 4 };
        DecoderOptions options = Models.Variant(projection, "rotary");
        using LanguageModel model = Models.Build(
            options with { ContextLength = 48, Attention = options.Attention with { Pattern = pattern, Cache = cache } });
        model.eval();
        Tensor tokens = Models.Tokens(2, 48);
        Tensor actual = Decoding.Run(model, tokens, [7, .. Enumerable.Repeat(1, 35), 6]);
        TensorAssert.Close(model.forward(tokens), actual, 5e-5);
    }

    [Theory]
    [InlineData(AttentionCache.Contiguous)]
    [InlineData(AttentionCache.Rolling)]
    [InlineData(AttentionCache.Paged)]
    public void Sequences_go_on_from_the_rows_they_are_given(AttentionCache cache)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With(new SlidingOptions { Window = 9, Sinks = 2 }, cache));
        model.eval();
        Tensor first = Models.Tokens(2, 50, seed: 2), rest = Models.Tokens(3, 40, seed: 4);
        using DecodingState state = model.NewDecodingState(2, 90);
        model.forward(first, state);
        state.Reorder([1, 0, 1]);
        Tensor whole = cat([first.index_select(0, tensor((long[])[1, 0, 1])), rest], 1);
        Tensor actual = cat([.. Enumerable.Range(0, 40).Select(step => model.forward(rest.narrow(1, step, 1), state))], 1);
        TensorAssert.Close(model.forward(whole).narrow(1, 50, 40), actual, 5e-5);
    }

    [Fact]
    public void A_window_takes_constant_memory_and_auto_sees_to_it()
    {
        using LanguageModel model = Models.Build(With(new SlidingOptions { Window = 32, Sinks = 4 }, AttentionCache.Auto));
        using DecodingState state = model.NewDecodingState(1, 100_000);
        // 2 layers · keys and values · 2 heads · 4 wide · float32 · (4 sinks + 32 + 16 rows)
        const int bytes = 2 * 2 * 2 * 4 * 4 * (4 + 32 + 16);
        Assert.Equal(bytes, state.Bytes);
        for (int step = 0; step < 20; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            model.forward(Models.Tokens(1, 7), state);
            Assert.Equal(bytes, state.Bytes);
        }
    }

    public static TheoryData<string, AttentionOptions> Measured() => new()
    {
        { "contiguous", With(new CausalOptions(), AttentionCache.Contiguous).Attention },
        { "rolling", With(new SlidingOptions { Window = 9, Sinks = 2 }, AttentionCache.Auto).Attention },
        { "a window longer than the text", With(new SlidingOptions { Window = 999 }, AttentionCache.Auto).Attention },
        { "paged", With(new CausalOptions(), AttentionCache.Paged).Attention },
        { "linear", With(new CausalOptions(), AttentionCache.Auto).Attention with { Kernel = AttentionKernel.Linear } },
    };

    [Theory]
    [MemberData(nameof(Measured))]
    public void The_plan_of_memory_is_what_decoding_takes(string name, AttentionOptions attention)
    {
        Assert.NotEmpty(name);
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Llama with { Attention = attention };
        using LanguageModel model = Models.Build(options);
        using DecodingState state = model.NewDecodingState(1, 96);
        model.forward(Models.Tokens(1, 96), state);
        Assert.Equal(ModelCost.Of(options, Models.Vocabulary).CacheBytes(96), state.Bytes);
    }

    [Fact]
    public void Samples_of_one_prompt_share_its_blocks()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With(new CausalOptions(), AttentionCache.Paged));
        using DecodingState state = model.NewDecodingState(1, 200);
        model.forward(Models.Tokens(1, 96), state);
        long once = state.Bytes;
        state.Reorder([0, 0, 0, 0]);
        Assert.Equal(once, state.Bytes);
    }

    [Theory]
    [InlineData("causal")]
    [InlineData("strided")]
    [InlineData("bigbird causal")]
    public void A_rolling_cache_under_a_pattern_that_looks_back_further_is_an_error(string name)
    {
        PatternOptions pattern = PatternCases.All[name].Options;
        Problem problem = Assert.Single(ModelValidation.All(With(pattern, AttentionCache.Rolling)));
        Assert.Equal(
            $"attention.cache: a rolling cache forgets what pattern '{pattern.Type}' still sees; use pattern 'sliding', or cache " +
            "'contiguous'",
            $"{problem.Path}: {problem.Message}");
    }

    private static DecoderOptions With(PatternOptions pattern, AttentionCache cache) => Models.Llama with
    {
        ContextLength = Length,
        Position = new RotaryOptions(),
        Attention =
            new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, Pattern = pattern, Cache = cache, Kernel = AttentionKernel.Auto },
    };
}
