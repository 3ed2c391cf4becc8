using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

public class LatentAttentionTests
{
    [Fact]
    public void The_defaults_are_the_proportions_of_the_paper()
    {
        Assert.Equal(new(6, 32, 16, 32, 128), new LatentOptions { Heads = 6 }.Shape(192));
        // Rotary positions need an even number to turn.
        Assert.Equal(new(4, 6, 4, 6, 24), new LatentOptions { Heads = 4 }.Shape(24));
        Assert.Equal(1 / Math.Sqrt(48), new LatentOptions { Heads = 6 }.ScoreScale(192));
    }

    [Fact]
    public void The_cache_holds_the_vector_and_one_turned_key()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Variant("latent", "rotary");
        using LanguageModel model = options.Build(Models.Vocabulary);
        using DecodingState state = model.NewDecodingState(3, 20);
        Assert.Equal(3 * 20 * options.Layers * (8 + 4) * 4, state.Bytes);
        Assert.Equal(options.Layers * (8 + 4) * 4, ModelCost.Of(options, Models.Vocabulary).CacheBytesPerToken());
    }

    [Fact]
    public void Absorbing_pays_while_queries_are_few()
    {
        // DeepSeek-V3: 512 · 256 / (2 · 576 − 320) = 157.5.
        LatentShape deepSeek = new(128, 128, 64, 128, 512);
        Assert.True(deepSeek.PaysToAbsorb(157));
        Assert.False(deepSeek.PaysToAbsorb(158));
        // Both forms are in the decoding tests.
        LatentShape tests = ((LatentOptions)Models.Projections["latent"]).Shape(16);
        Assert.True(tests.PaysToAbsorb(5));
        Assert.False(tests.PaysToAbsorb(7));
        Assert.True(((LatentOptions)Models.Projections["latent-wide-values"]).Shape(16).PaysToAbsorb(8));
    }

    [Fact]
    public void Wide_vectors_decode_with_flash()
    {
        using DisposeScope scope = NewDisposeScope();
        // As wide as DeepSeek's: 512 + 64.
        DecoderOptions options = Models.Llama with
        {
            Layers = 1,
            Attention = new LatentOptions { Heads = 2, RopeDim = 64, KeyValueRank = 512, Kernel = AttentionKernel.Flash },
        };
        using LanguageModel model = Models.Build(options);
        model.eval();
        Assert.Equal([new(0, "flash", AttentionBackend.Flash)], model.Kernels());
        Tensor tokens = Models.Tokens(2, 6);
        TensorAssert.Close(model.forward(tokens), Decoding.Run(model, tokens, [5, 1]), 1e-4);
    }

    [Fact]
    public void Attention_to_an_encoder_is_multi_head()
    {
        using DisposeScope scope = NewDisposeScope();
        EncoderDecoderOptions options = new()
        {
            Dim = 16,
            Layers = 1,
            ContextLength = 8,
            Attention = new LatentOptions { Heads = 4, RopeDim = 2, ValueDim = 6 },
        };
        using LanguageModel model = Models.Build(options);
        model.eval();
        Assert.Equal([32, 16], model.state_dict()["decoder.blocks.0.cross.projection.keyValue.weight"].shape);
        Tensor source = Models.Tokens(2, 5), tokens = Models.Tokens(2, 6);
        Tensor actual = Decoding.Run(model, tokens, [4, 2], source);
        TensorAssert.Close(model.forward(new ModelInput(tokens) { Source = source }), actual, 5e-5);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
    }
}
