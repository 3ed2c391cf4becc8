using Trainer.Checkpoints.GroupedQuery;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Mixers;

namespace Trainer.Checkpoints.Tests.GroupedQuery;

/// <summary>The model that a conversion makes, and those it cannot make.</summary>
public sealed class GroupedQueryModelTests
{
    private static readonly DecoderOptions Decoder = new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8 } };

    [Fact]
    public void What_the_kinds_of_attention_share_comes_along()
    {
        DecoderOptions model = Decoder with
        {
            Attention = new MultiHeadOptions
            {
                Heads = 8, HeadDim = 6, QueryKeyNorm = true, Scale = 0.25, SoftCap = 50, ScalableSoftmax = true, Bias = true, OutputBias = false, Pattern = new CausalOptions(),
            },
        };
        GroupedQueryOptions converted = Assert.IsType<GroupedQueryOptions>(GroupedQueryModel.Apply(model, 2).Attention);
        Assert.Equal(
            new GroupedQueryOptions
            {
                Heads = 8, KeyValueHeads = 2, HeadDim = 6, QueryKeyNorm = true, Scale = 0.25, SoftCap = 50, ScalableSoftmax = true, Bias = true, OutputBias = false, Pattern = new CausalOptions(),
            },
            converted);
        Assert.IsType<MultiQueryOptions>(GroupedQueryModel.Apply(model, 1).Attention);
        Assert.IsType<MultiQueryOptions>(GroupedQueryModel.Apply(GroupedQueryModel.Apply(model, 2), 1).Attention);
    }

    [Fact]
    public void A_model_that_has_as_many_heads_stays_what_it_is()
    {
        ModelOptions converted = GroupedQueryModel.Apply(Decoder, 2);
        Assert.True(GroupedQueryModel.Has(converted, 2));
        Assert.Empty(GroupedQueryModel.Problems(converted, 2, ""));
        Assert.Same(converted, GroupedQueryModel.Apply(converted, 2));
        Assert.Same(Decoder, GroupedQueryModel.Apply(Decoder, 8));
    }

    [Fact]
    public void The_encoder_of_an_encoder_decoder_keeps_its_heads_and_its_pattern()
    {
        EncoderDecoderOptions model = new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8, Pattern = new CausalOptions() } };
        var converted = (EncoderDecoderOptions)GroupedQueryModel.Apply(model, 2);
        Assert.Equal(new MultiHeadOptions { Heads = 8 }, converted.EncoderAttention);
        Assert.Same(converted, GroupedQueryModel.Apply(converted, 2));
        Assert.Equal(new MultiHeadOptions { Heads = 8 }, ((EncoderDecoderOptions)GroupedQueryModel.Apply(converted, 1)).EncoderAttention);
    }

    [Theory]
    [InlineData(0, "keyValueHeads (0) is a number of heads; use 1 or more")]
    [InlineData(3, "model.attention has 8 key-value heads, which 3 does not divide into equal groups; use 1, 2, 4 or 8")]
    [InlineData(16, "model.attention has 8 key-value heads, and 16 are more: heads can be pooled, not added; use 1, 2, 4 or 8")]
    public void Numbers_that_do_not_go(int heads, string message) =>
        Assert.Equal([new Problem("--key-value-heads", message)], GroupedQueryModel.Problems(Decoder, heads, "--key-value-heads"));

    [Fact]
    public void Every_layer_that_differs_is_named()
    {
        DecoderOptions model = Decoder with { LayerPattern = [new(), new() { Attention = new GroupedQueryOptions { Heads = 6, KeyValueHeads = 3 } }] };
        Problem problem = Assert.Single(GroupedQueryModel.Problems(model, 2, "p"));
        Assert.Equal("model.layerPattern.1.attention has 3 key-value heads, which 2 does not divide into equal groups; use 1 or 3", problem.Message);
    }

    [Fact]
    public void Latent_attention_has_no_heads_to_pool() =>
        Assert.Equal("model.attention is of type 'latent', which has no heads of keys and values to pool; only multi-head and grouped-query attention have",
            Assert.Single(GroupedQueryModel.Problems(Decoder with { Attention = new LatentOptions { Heads = 8 } }, 2, "p")).Message);

    [Fact]
    public void A_model_without_attention_has_none_either() =>
        Assert.StartsWith("no layer of this model has attention", Assert.Single(GroupedQueryModel.Problems(Decoder with { Mixer = new Mamba2Options() }, 2, "p")).Message, StringComparison.Ordinal);

    [Fact]
    public void An_encoder_has_nothing_to_win()
    {
        EncoderOptions encoder = new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8 } };
        Assert.StartsWith("model.architecture is 'encoder'", Assert.Single(GroupedQueryModel.Problems(encoder, 2, "p")).Message, StringComparison.Ordinal);
    }
}
