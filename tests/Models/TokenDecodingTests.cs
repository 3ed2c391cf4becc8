using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Decoding one token at a time gives what the full forward gives.</summary>
public sealed class TokenDecodingTests
{
    private const double Tolerance = 5e-5;

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void Projections_and_positions(string projection, string position) =>
        Agree(Models.Variant(projection, position));

    [Fact]
    public void Feed_forward_layers()
    {
        foreach ((_, FeedForwardOptions options) in Models.FeedForwards)
            Agree(Models.Llama with { FeedForward = options });
    }

    [Theory]
    [InlineData(NormPlacement.Pre)]
    [InlineData(NormPlacement.Post)]
    [InlineData(NormPlacement.Sandwich)]
    public void Placements_of_norms(NormPlacement placement)
    {
        Agree(Models.Gpt with { Norm = new LayerNormOptions { Placement = placement } });
        Agree(Models.Llama with { Norm = new RmsNormOptions { Placement = placement } });
    }

    [Fact]
    public void What_else_a_model_may_have()
    {
        Agree(Models.Gpt with { Bias = true });
        Agree(Models.Llama with { ParallelResidual = true });
        Agree(Models.Llama with { EmbeddingNorm = true, ScaleEmbeddings = true });
        Agree(Models.Llama with { LogitScale = 0.7, LogitSoftCap = 1.5, HeadBias = true });
    }

    [Fact]
    public void Kernels_and_caches_that_are_demanded_are_kept()
    {
        foreach (AttentionKernel kernel in (AttentionKernel[])[AttentionKernel.Reference, AttentionKernel.Flash])
            Agree(Models.Variant("grouped-query", "rotary", kernel));
        Agree(Models.Llama with { Attention = Models.Llama.Attention with { Cache = AttentionCache.Paged } });
        Agree(Models.Llama with { Attention = Models.Llama.Attention with { SoftCap = 2 } });
        Agree(Models.Llama with { Attention = Models.Llama.Attention with { Pattern = new SlidingOptions { Window = 3, Sinks = 1 } } });
        Agree(Models.Hybrid);
    }

    // A cache of all positions at first, then one that rolls: 3 + 16 rows of 60 positions.
    [Theory]
    [InlineData(8)]
    [InlineData(60)]
    public void Windows(int length)
    {
        DecoderOptions sliding =
            Models.Llama with { ContextLength = 64,
            Attention = Models.Llama.Attention with { Pattern = new SlidingOptions { Window = 3 } } };
        Agree(sliding, length: length);
        Agree(sliding with { LayerPattern = [new(), new() { Attention = sliding.Attention with { Pattern = null } }] }, length: length);
    }

    [Fact]
    public void A_rolling_cache_goes_on_after_several_tokens_at_once()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(
            Models.Llama with { ContextLength = 64,
            Attention = Models.Llama.Attention with { Pattern = new SlidingOptions { Window = 3 } } });
        model.eval();
        Tensor tokens = Models.Tokens(2, 60), expected = model.forward(tokens);
        using DecodingState state = model.NewDecodingState(2, 60);
        int place = 0;
        foreach (int count in (int[])[1, 1, 18, 1, 1, 5, 1, 30, 1, 1])
        {
            Tensor logits = model.NextLogits(tokens.narrow(1, place, count), state);
            place += count;
            Assert.InRange(Models.LargestDifference(expected.select(1, place - 1), logits), 0, Tolerance);
        }
        Assert.Equal(60, place);
    }

    [Fact]
    public void Many_sequences_are_a_product_of_matrices() => Agree(Models.Llama, batch: 9);

    [Fact]
    public void In_bfloat16_to_its_rounding()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama, computeType: ScalarType.BFloat16);
        model.eval();
        Tensor tokens = Models.Tokens(2, 8);
        Tensor expected = model.forward(tokens);
        Assert.InRange(Models.LargestDifference(expected, OneByOne(model, tokens)), 0, 0.02 * expected.abs().max().item<float>());
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
        Assert.InRange(Models.LargestDifference(model.forward(whole).select(1, 5), actual), 0, Tolerance);
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
        Assert.InRange(Models.LargestDifference(expected, model.NextLogits(tokens.narrow(1, 2, 1), state)), 0, Tolerance * 10);
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

    private static void Agree(DecoderOptions options, int batch = 2, int length = 8)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(options);
        model.eval();
        Tensor tokens = Models.Tokens(batch, length);
        Assert.InRange(Models.LargestDifference(model.forward(tokens), OneByOne(model, tokens)), 0, Tolerance);
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
