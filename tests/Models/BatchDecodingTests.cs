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

namespace Trainer.Models.Tests;

/// <summary>Sequences of different lengths in one batch, which they join and leave at different times, have what they have alone.</summary>
public sealed class BatchDecodingTests
{
    private const int Context = 64;

    /// <summary>One sequence: its prompt is read in pieces before it joins.</summary>
    private sealed record Sequence(int[] Pieces, int Joins, int Leaves);

    // Some begin a window of 19 positions, fill it, or are beyond it when they join; the batch is empty once in between.
    private static readonly Sequence[] Sequences =
    [
        new([1], 0, 3), new([7], 4, 10), new([1], 6, 44), new([12, 9], 8, 30), new([2, 1], 12, 44), new([33], 14, 20),
    ];

    public static MatrixTheoryData<string, string> Projections => new(Models.Projections.Keys, ["rotary", "interleaved", "alibi", "t5"]);

    [Theory]
    [MemberData(nameof(Projections))]
    public void It_holds_for_every_projection(string projection, string position) => Agree(Models.Variant(projection, position));

    public static MatrixTheoryData<string, string> Positions => new(["multi-query", "latent"], Models.Positions.Keys.Except(["yarn"]));

    [Theory]
    [MemberData(nameof(Positions))]
    public void It_holds_for_every_position(string projection, string position) => Agree(Models.Variant(projection, position));

    public static TheoryData<string> FeedForwards => [.. Models.FeedForwards.Keys];

    [Theory]
    [MemberData(nameof(FeedForwards))]
    public void It_holds_for_every_feed_forward_layer(string kind) => Agree(Models.Llama with { FeedForward = Models.FeedForwards[kind] });

    public static TheoryData<string, AttentionCache> Patterns =>
    [
        .. from pattern in PatternCases.All
           where pattern.Value.Options.Prefix is not null
           from cache in Enum.GetValues<AttentionCache>()
           where cache != AttentionCache.Rolling || pattern.Value.Options.KeyWindow is not null
           select (pattern.Key, cache),
    ];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void It_holds_for_every_pattern_and_cache(string pattern, AttentionCache cache) =>
        Agree(With(attention => attention with { Pattern = PatternCases.All[pattern].Options, Cache = cache }));

    private static readonly PatternOptions Sinks = new SlidingOptions { Window = 5, Sinks = 3 };

    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["yarn"] = Models.Llama with { Position = new RotaryOptions { Scaling = new YarnScaling { Factor = 2, OriginalLength = 32 } } },
        ["hybrid"] = Models.Hybrid,
        ["window of latent attention"] = Models.Latent with { Attention = Models.Latent.Attention with { Pattern = Sinks } },
        ["window with alibi"] = Models.Variant("grouped-query", "alibi") with { LayerPattern = [Windowed, new()] },
        ["window with t5"] = Models.Variant("grouped-query", "t5") with { LayerPattern = [Windowed, new()] },
        ["window with sharpened softmax"] = Models.Llama with
        {
            LayerPattern = [new() { Attention = Models.Projections["scalable"] with { Pattern = Sinks } },
                new() { Attention = Models.Projections["scalable"] }],
        },
        ["two windows"] = Models.Llama with
        {
            LayerPattern = [Windowed, new() { Attention = Models.Llama.Attention with { Pattern = new SlidingOptions { Window = 7 } } }],
        },
        ["linear kernel"] = With(attention => attention with { Kernel = AttentionKernel.Linear }),
        ["reference kernel"] = With(attention => attention with { Kernel = AttentionKernel.Reference }),
        ["flash kernel"] = With(attention => attention with { Kernel = AttentionKernel.Flash }),
        ["block-sparse kernel"] = With(attention => attention with { Kernel = AttentionKernel.BlockSparse, Pattern = Sinks }),
        ["soft cap of scores"] = With(attention => attention with { SoftCap = 2 }),
        ["gpt"] = Models.Gpt with { Bias = true },
        ["parallel residual"] = Models.Llama with { ParallelResidual = true },
        ["encoder-decoder"] = Models.EncoderDecoder,
        ["encoder-decoder with t5"] = Models.EncoderDecoder with { Position = Models.Positions["t5"] },
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void It_holds_for_what_else_a_model_may_have(string kind) => Agree(Kinds[kind]);

    [Fact]
    public void Rounded_to_bfloat16_it_holds_to_the_rounding() => Agree(Models.Llama, ScalarType.BFloat16, tolerance: 0.03);

    [Fact]
    public void Memory_is_that_of_the_longest_sequence_for_each_of_those_present()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama with { ContextLength = 300 });
        model.eval();
        using DecodingState batch = DecodingState.NewBatch(300, CPU);
        Join(5);
        Add(1);
        long one = batch.Bytes;
        Join(200);
        Add(2);
        Assert.Equal(4 * one, batch.Bytes);
        batch.Reorder([0]);
        Add(1);
        Assert.Equal(one, batch.Bytes);
        Assert.Equal(8, batch.Length);
        batch.Reorder([]);
        Assert.Equal((0, 0), (batch.Bytes, batch.Length));

        void Add(int rows) => model.NextLogits(Models.Tokens(rows, 1), batch);

        void Join(int length)
        {
            using DecodingState prompt = model.NewDecodingState(1, 300);
            model.NextLogits(Models.Tokens(1, length), prompt);
            batch.Append(prompt);
        }
    }

    [Theory]
    [InlineData("hybrid", 0)]
    [InlineData("encoder-decoder", 0)]
    [InlineData("window of latent attention", 0)]
    [InlineData("window with alibi", 4)] // tables of some steps are kept
    public void No_tensor_is_left_behind(string kind, long tables)
    {
        using LanguageModel model = Build(Kinds[kind]);
        Agree(model);
        Finalizers.Run();
        long before = LiveTensors.Count();
        Agree(model);
        Assert.InRange(LiveTensors.Count() - before, -tables, tables);
    }

    [Fact]
    public void What_does_not_fit_a_batch_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        using DecodingState batch = DecodingState.NewBatch(8, CPU), prompt = model.NewDecodingState(1, 8), other = model.NewDecodingState(1, 7);
        model.NextLogits(Models.Tokens(1, 7), prompt);
        batch.Append(prompt);
        Assert.Throws<ArgumentException>(() => batch.Append(other));
        Assert.Throws<ArgumentException>(() => prompt.Append(prompt));
        Assert.Throws<ArgumentException>(() => model.NextLogits(Models.Tokens(1, 2), batch));
        Assert.Throws<ArgumentException>(() => model.NextLogits(Models.Tokens(2, 1), batch));
        model.NextLogits(Models.Tokens(1, 1), batch);
        Assert.Throws<UserException>(() => model.NextLogits(Models.Tokens(1, 1), batch));
    }

    private static LayerGroupOptions Windowed => new() { Attention = Models.Llama.Attention with { Pattern = Sinks } };

    private static DecoderOptions With(Func<AttentionOptions, AttentionOptions> change) =>
        Models.Llama with { Attention = change(Models.Llama.Attention) };

    private static void Agree(ModelOptions options, ScalarType type = ScalarType.Float32, double tolerance = 1e-5)
    {
        using LanguageModel model = Build(options, type);
        Agree(model, tolerance);
    }

    private static LanguageModel Build(ModelOptions options, ScalarType type = ScalarType.Float32)
    {
        LanguageModel model = Models.Build(options with { ContextLength = Context }, computeType: type);
        model.eval();
        return model;
    }

    private static void Agree(LanguageModel model, double tolerance = 1e-5)
    {
        using DisposeScope scope = NewDisposeScope();
        using DecodingState batch = DecodingState.NewBatch(Context, CPU);
        List<(Sequence Sequence, DecodingState Alone)> present = [];
        for (int step = 0; present.Count > 0 || step == 0 || step < 10; step++)
        {
            int[] kept = [.. Enumerable.Range(0, present.Count).Where(row => present[row].Sequence.Leaves > step)];
            if (kept.Length < present.Count)
            {
                batch.Reorder(kept);
                foreach ((Sequence sequence, DecodingState alone) in present)
                    if (sequence.Leaves <= step) alone.Dispose();
                present = [.. kept.Select(row => present[row])];
            }
            for (int index = 0; index < Sequences.Length; index++)
            {
                if (Sequences[index].Joins != step) continue;
                DecodingState alone = Read(model, Sequences[index], index);
                batch.Append(alone);
                present.Add((Sequences[index], alone));
            }
            if (present.Count == 0) continue;
            using DisposeScope one = NewDisposeScope();
            Tensor tokens = Models.Tokens(present.Count, 1, seed: step); // (B, 1)
            Tensor[] expected = [.. present.Select((each, row) => model.NextLogits(tokens.narrow(0, row, 1), each.Alone))];
            TensorAssert.Close(
                cat(expected, 0).log_softmax(-1), model.NextLogits(tokens, batch).log_softmax(-1), tolerance,
                $"in step {step} log p of {present.Count} sequences");
        }
        Assert.Equal(0, batch.Batch);
    }

    // Sources of different lengths, one of which is padded.
    private static DecodingState Read(LanguageModel model, Sequence sequence, int index)
    {
        ModelInput? source = model.Options is not EncoderDecoderOptions ? null : new(Models.Tokens(1, 3 + index % 3, seed: index))
        {
            Documents = index == 3 ? tensor((long[])[0, 0, -1], [1, 3]) : null,
        };
        DecodingState state = model.NewDecodingState(1, Context, source);
        int more = model.PrefixLength - 1; // which is read at once
        foreach (int count in sequence.Pieces)
        {
            model.NextLogits(Models.Tokens(1, count + more, seed: 100 + count), state);
            more = 0;
        }
        return state;
    }
}
