using Trainer.Models.Attention;
using Trainer.Models.FeedForward;

namespace Trainer.Models.Tests;

/// <summary>Names and shapes of the weights are the format of a checkpoint: they change only on purpose.</summary>
public class StateNamesTests
{
    [Fact]
    public void Gpt() => Expect(Models.Gpt with { Layers = 1, Bias = true },
        """
        embedding.weight 13x16
        position.weight 8x16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixerNorm.bias 16
        blocks.0.mixer.projection.qkv.weight 48x16
        blocks.0.mixer.projection.qkv.bias 48
        blocks.0.mixer.output.weight 16x16
        blocks.0.mixer.output.bias 16
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForwardNorm.bias 16
        blocks.0.feedForward.up.weight 64x16
        blocks.0.feedForward.up.bias 64
        blocks.0.feedForward.down.weight 16x64
        blocks.0.feedForward.down.bias 16
        norm.weight 16
        norm.bias 16
        """);

    [Fact]
    public void Llama() => Expect(Models.Variant("normed", "rotary") with { Layers = 1 },
        """
        embedding.weight 13x16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixer.projection.qkv.weight 32x16
        blocks.0.mixer.projection.queryNorm.weight 4
        blocks.0.mixer.projection.keyNorm.weight 4
        blocks.0.mixer.output.weight 16x16
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForward.gateUp.weight 128x16
        blocks.0.feedForward.down.weight 16x64
        norm.weight 16
        head.weight 13x16
        """);

    [Fact]
    public void Encoder() => Expect(
        Models.Encoder with { Layers = 1, Bias = true, HeadBias = true, HeadTransform = true, EmbeddingNorm = true,
            Norm = new LayerNormOptions { Placement = NormPlacement.Post }, FeedForward = new GeluOptions() },
        """
        embedding.weight 13x16
        embeddingNorm.weight 16
        embeddingNorm.bias 16
        blocks.0.mixer.projection.qkv.weight 48x16
        blocks.0.mixer.projection.qkv.bias 48
        blocks.0.mixer.output.weight 16x16
        blocks.0.mixer.output.bias 16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixerNorm.bias 16
        blocks.0.feedForward.up.weight 64x16
        blocks.0.feedForward.up.bias 64
        blocks.0.feedForward.down.weight 16x64
        blocks.0.feedForward.down.bias 16
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForwardNorm.bias 16
        head.bias 13
        head.transform.dense.weight 16x16
        head.transform.dense.bias 16
        head.transform.norm.weight 16
        head.transform.norm.bias 16
        """);

    [Fact]
    public void Encoder_decoder() => Expect(
        Models.EncoderDecoder with { Layers = 1, Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, QueryKeyNorm = true },
            FeedForward = new GeluOptions() },
        """
        embedding.weight 13x16
        encoder.blocks.0.mixerNorm.weight 16
        encoder.blocks.0.mixer.projection.qkv.weight 32x16
        encoder.blocks.0.mixer.projection.queryNorm.weight 4
        encoder.blocks.0.mixer.projection.keyNorm.weight 4
        encoder.blocks.0.mixer.output.weight 16x16
        encoder.blocks.0.feedForwardNorm.weight 16
        encoder.blocks.0.feedForward.up.weight 64x16
        encoder.blocks.0.feedForward.down.weight 16x64
        encoder.norm.weight 16
        decoder.blocks.0.mixerNorm.weight 16
        decoder.blocks.0.mixer.projection.qkv.weight 32x16
        decoder.blocks.0.mixer.projection.queryNorm.weight 4
        decoder.blocks.0.mixer.projection.keyNorm.weight 4
        decoder.blocks.0.mixer.output.weight 16x16
        decoder.blocks.0.crossNorm.weight 16
        decoder.blocks.0.cross.projection.query.weight 16x16
        decoder.blocks.0.cross.projection.keyValue.weight 16x16
        decoder.blocks.0.cross.projection.queryNorm.weight 4
        decoder.blocks.0.cross.projection.keyNorm.weight 4
        decoder.blocks.0.cross.output.weight 16x16
        decoder.blocks.0.feedForwardNorm.weight 16
        decoder.blocks.0.feedForward.up.weight 64x16
        decoder.blocks.0.feedForward.down.weight 16x64
        decoder.norm.weight 16
        """);

    [Fact]
    public void Latent() => Expect(Models.Latent with { Layers = 1, Bias = true, Norm = new LayerNormOptions() },
        """
        embedding.weight 13x16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixerNorm.bias 16
        blocks.0.mixer.projection.queryDown.weight 6x16
        blocks.0.mixer.projection.queryDown.bias 6
        blocks.0.mixer.projection.queryNorm.weight 6
        blocks.0.mixer.projection.queryUp.weight 32x6
        blocks.0.mixer.projection.keyValueDown.weight 12x16
        blocks.0.mixer.projection.keyValueDown.bias 12
        blocks.0.mixer.projection.keyValueNorm.weight 8
        blocks.0.mixer.projection.keyValueUp.weight 40x8
        blocks.0.mixer.output.weight 16x24
        blocks.0.mixer.output.bias 16
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForwardNorm.bias 16
        blocks.0.feedForward.gateUp.weight 128x16
        blocks.0.feedForward.gateUp.bias 128
        blocks.0.feedForward.down.weight 16x64
        blocks.0.feedForward.down.bias 16
        norm.weight 16
        norm.bias 16
        head.weight 13x16
        """);

    [Fact]
    public void Differential() => Expect(Models.Variant("differential-grouped", "rotary") with { Layers = 1, Bias = true },
        """
        embedding.weight 13x16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixer.projection.lambdaQuery1 4
        blocks.0.mixer.projection.lambdaKey1 4
        blocks.0.mixer.projection.lambdaQuery2 4
        blocks.0.mixer.projection.lambdaKey2 4
        blocks.0.mixer.projection.heads.qkv.weight 64x16
        blocks.0.mixer.projection.heads.qkv.bias 64
        blocks.0.mixer.projection.heads.queryNorm.weight 4
        blocks.0.mixer.projection.heads.keyNorm.weight 4
        blocks.0.mixer.projection.norm.weight 8
        blocks.0.mixer.output.weight 16x32
        blocks.0.mixer.output.bias 16
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForward.gateUp.weight 128x16
        blocks.0.feedForward.gateUp.bias 128
        blocks.0.feedForward.down.weight 16x64
        blocks.0.feedForward.down.bias 16
        norm.weight 16
        head.weight 13x16
        """);

    [Fact]
    public void Mamba2() => Expect(Models.Llama with { Layers = 1, Mixer = Models.Mamba2 },
        """
        embedding.weight 13x16
        blocks.0.mixerNorm.weight 16
        blocks.0.mixer.logDecay 8
        blocks.0.mixer.stepBias 8
        blocks.0.mixer.skip 8
        blocks.0.mixer.norm 32
        blocks.0.mixer.input.weight 84x16
        blocks.0.mixer.convolution.weight 44x1x4
        blocks.0.mixer.convolution.bias 44
        blocks.0.mixer.output.weight 16x32
        blocks.0.feedForwardNorm.weight 16
        blocks.0.feedForward.gateUp.weight 128x16
        blocks.0.feedForward.down.weight 16x64
        norm.weight 16
        head.weight 13x16
        """);

    private static void Expect(ModelOptions options, string expected)
    {
        using LanguageModel model = options.Build(Models.Vocabulary);
        // A forward first: tables and masks it makes are no part of the state.
        ModelInput tokens = Models.Tokens(1, 4);
        model.forward(tokens with { Source = options is EncoderDecoderOptions ? tokens : null }).Dispose();
        Assert.Equal(expected, string.Join('\n', model.state_dict().Select(entry => $"{entry.Key} {string.Join('x', entry.Value.shape)}")));
        Assert.Equal(model.state_dict().Keys, model.named_parameters().Select(entry => entry.name));
    }
}
