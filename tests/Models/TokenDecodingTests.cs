using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Decoding one token at a time gives what the full forward gives.</summary>
public sealed class TokenDecodingTests
{
    private const double Tolerance = 5e-5;

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void It_agrees_for_every_projection_and_position(string projection, string position) =>
        Agree(Models.Variant(projection, position));

    public static TheoryData<string> FeedForwards => [.. Models.FeedForwards.Keys];

    [Theory]
    [MemberData(nameof(FeedForwards))]
    public void It_agrees_for_every_feed_forward_layer(string kind) => Agree(Models.Llama with { FeedForward = Models.FeedForwards[kind] });

    public static MatrixTheoryData<string, NormPlacement> Placements => new(["layer", "rms"], Enum.GetValues<NormPlacement>());

    [Theory]
    [MemberData(nameof(Placements))]
    public void It_agrees_wherever_norms_stand(string norm, NormPlacement placement) => Agree(norm == "layer"
        ? Models.Gpt with { Norm = new LayerNormOptions { Placement = placement } }
        : Models.Llama with { Norm = new RmsNormOptions { Placement = placement } });

    private static readonly DecoderOptions Sliding =
        With(attention => attention with { Pattern = new SlidingOptions { Window = 3 } }) with { ContextLength = 64 };

    private static readonly Dictionary<string, DecoderOptions> Kinds = new()
    {
        ["biases"] = Models.Gpt with { Bias = true },
        ["parallel residual"] = Models.Llama with { ParallelResidual = true },
        ["norm and scale of embeddings"] = Models.Llama with { EmbeddingNorm = true, ScaleEmbeddings = true },
        ["scale, soft cap and bias of logits"] = Models.Llama with { LogitScale = 0.7, LogitSoftCap = 1.5, HeadBias = true },
        ["reference kernel"] = Models.Variant("grouped-query", "rotary", AttentionKernel.Reference),
        ["flash kernel"] = Models.Variant("grouped-query", "rotary", AttentionKernel.Flash),
        ["paged cache"] = With(attention => attention with { Cache = AttentionCache.Paged }),
        ["soft cap of scores"] = With(attention => attention with { SoftCap = 2 }),
        ["window with a sink"] = With(attention => attention with { Pattern = new SlidingOptions { Window = 3, Sinks = 1 } }),
        ["hybrid"] = Models.Hybrid,
        ["window"] = Sliding,
        ["window in every second layer"] =
            Sliding with { LayerPattern = [new(), new() { Attention = Sliding.Attention with { Pattern = null } }] },
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void It_agrees_for_what_else_a_model_may_have(string kind) => Agree(Kinds[kind]);

    // A cache of all positions at first, then one that rolls: 3 + 16 rows of 60 positions.
    [Theory]
    [InlineData("window")]
    [InlineData("window in every second layer")]
    public void It_agrees_over_many_windows(string kind) => Agree(Kinds[kind], length: 60);

    [Fact]
    public void A_rolling_cache_goes_on_after_several_tokens_at_once()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Sliding);
        model.eval();
        Tensor tokens = Models.Tokens(2, 60), expected = model.forward(tokens);
        using DecodingState state = model.NewDecodingState(2, 60);
        int place = 0;
        foreach (int count in (int[])[1, 1, 18, 1, 1, 5, 1, 30, 1, 1])
        {
            Tensor logits = model.NextLogits(tokens.narrow(1, place, count), state);
            place += count;
            TensorAssert.Close(expected.select(1, place - 1), logits, Tolerance, $"after {place} tokens the result");
        }
        Assert.Equal(60, place);
    }

    [Fact]
    public void It_agrees_for_many_sequences_which_are_a_product_of_matrices() => Agree(Models.Llama, batch: 9);

    [Fact]
    public void In_bfloat16_it_agrees_to_the_rounding()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama, computeType: ScalarType.BFloat16);
        model.eval();
        Tensor tokens = Models.Tokens(2, 8);
        Tensor expected = model.forward(tokens);
        TensorAssert.CloseToScale(expected, OneByOne(model, tokens), 0.02, floor: 0);
    }

    [Fact]
    public void Sequences_that_branch_off_go_on_from_what_they_remember()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.eval();
        Tensor tokens = Models.Tokens(2, 4), next = Models.Tokens(3, 2, seed: 5);
        using DecodingState state = model.NewDecodingState(2, 6);
        model.NextLogits(tokens.narrow(1, 0, 3), state);
        model.NextLogits(tokens.narrow(1, 3, 1), state);
        state.Reorder([1, 1, 0]);
        model.NextLogits(next.narrow(1, 0, 1), state);
        Tensor actual = model.NextLogits(next.narrow(1, 1, 1), state);
        Tensor whole = cat([tokens.index_select(0, tensor(new long[] { 1, 1, 0 })), next], 1);
        TensorAssert.Close(model.forward(whole).select(1, 5), actual, Tolerance);
    }

    [Fact]
    public void Weights_written_meanwhile_count()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.eval();
        Tensor tokens = Models.Tokens(1, 3);
        using DecodingState state = model.NewDecodingState(1, 3), other = model.NewDecodingState(1, 3);
        foreach (DecodingState one in (DecodingState[])[state, other])
        {
            model.NextLogits(tokens.narrow(1, 0, 1), one);
            model.NextLogits(tokens.narrow(1, 1, 1), one);
        }
        using (no_grad())
            foreach (var (_, parameter) in model.named_parameters()) parameter.mul_(1.5);
        Tensor expected = model.forward(tokens.narrow(1, 2, 1), other).select(1, 0);
        TensorAssert.Close(expected, model.NextLogits(tokens.narrow(1, 2, 1), state), Tolerance * 10);
    }

    [Fact]
    public void Nothing_is_remembered_of_a_token_that_does_not_fit()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.eval();
        using DecodingState state = model.NewDecodingState(1, 2);
        model.NextLogits(Models.Tokens(1, 1), state);
        model.NextLogits(Models.Tokens(1, 1), state);
        Assert.Throws<UserException>(() => model.NextLogits(Models.Tokens(1, 1), state));
        Assert.Throws<ArgumentException>(() => model.NextLogits(Models.Tokens(2, 1), state));
        Assert.Equal(2, state.Length);
    }

    private static DecoderOptions With(Func<AttentionOptions, AttentionOptions> change) =>
        Models.Llama with { Attention = change(Models.Llama.Attention) };

    private static void Agree(DecoderOptions options, int batch = 2, int length = 8)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(options);
        model.eval();
        Tensor tokens = Models.Tokens(batch, length);
        TensorAssert.Close(model.forward(tokens), OneByOne(model, tokens), Tolerance);
    }

    // A prompt of three tokens at once, then the others one by one: the logits from the third on, before them the prompt's own.
    private static Tensor OneByOne(LanguageModel model, Tensor tokens)
    {
        using DecodingState state = model.NewDecodingState((int)tokens.size(0), (int)tokens.size(1));
        List<Tensor> logits = [model.forward(tokens.narrow(1, 0, 3), state)];
        for (int place = 3; place < tokens.size(1); place++) logits.Add(model.NextLogits(tokens.narrow(1, place, 1), state).unsqueeze(1));
        return cat([.. logits], 1);
    }
}
