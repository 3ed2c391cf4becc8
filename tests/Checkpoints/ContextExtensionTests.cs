using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

/// <summary>Rotary positions scaled for a longer context.</summary>
public sealed class ContextExtensionTests
{
    private static readonly DecoderOptions Model =
        new() { Dim = 32, Layers = 2, ContextLength = 64, Attention = new MultiHeadOptions { Heads = 4 } };

    public static TheoryData<string> Methods => [.. ContextExtension.Methods];

    [Fact]
    public void The_methods_are_those_of_the_configuration() =>
        Assert.Equal(["linear", "ntk", "ntk-by-parts", "dynamic-ntk", "yarn", "llama3"], ContextExtension.Methods);

    [Theory]
    [MemberData(nameof(Methods))]
    public void The_old_length_is_remembered_and_the_new_one_is_the_models(string method)
    {
        ModelOptions extended = new ContextExtension(method, 4).Apply(Model);
        ScalingOptions scaling = ((RotaryOptions)extended.Position).Scaling!;
        Assert.Equal((256, 64, method), (extended.ContextLength, scaling.OriginalLength, scaling.Type));
        using LanguageModel built = extended.Build(13); // the rules of model and scaling hold
        Assert.Equal([1, 256, 13], built.forward(zeros([1, 256], ScalarType.Int64)).shape);
    }

    // Its factor is a rate of growth: the frequencies of a sequence of the new length are those of NTK scaling by s.
    [Fact]
    public void Dynamic_scaling_comes_to_the_factor_at_the_new_length()
    {
        ScalingOptions Scaling(string method) => ((RotaryOptions)new ContextExtension(method, 4).Apply(Model).Position).Scaling!;
        double[] Angular(string method, int length) => RotaryFrequencies.Of(8, 10000, Scaling(method), 256, length).Angular;
        TensorAssert.Equal(Angular("ntk", 256), Angular("dynamic-ntk", 256), 1e-12);
        TensorAssert.Equal(RotaryFrequencies.Of(8, 10000, null, 64, 64).Angular, Angular("dynamic-ntk", 64), 1e-12);
    }

    [Fact]
    public void Every_rotary_layer_is_scaled_and_layers_without_positions_stay()
    {
        DecoderOptions model =
            Model with { LayerPattern =
            [new(), new() { Position = new RotaryOptions { Theta = 100 } }, new() { Position = new NoPositionOptions() }], Layers = 3 };
        ModelOptions extended = new ContextExtension("yarn", 2).Apply(model);
        PositionOptions[] positions = [.. extended.Stacks[0].Layers.Select(layer => layer.Position)];
        Assert.All(positions[..2], position => Assert.Equal(64, ((RotaryOptions)position).Scaling!.OriginalLength));
        Assert.Equal(100, ((RotaryOptions)positions[1]).Theta);
        Assert.IsType<NoPositionOptions>(positions[2]);
    }

    [Fact]
    public void Layers_of_a_recurrence_read_no_positions_and_attention_beside_them_does()
    {
        Mamba2Options recurrence = new() { HeadDim = 8 };
        DecoderOptions alone = Model with { Mixer = recurrence };
        DecoderOptions hybrid = Model with { LayerPattern = [new() { Mixer = recurrence }, new()] };
        ContextExtension extension = new("linear", 2);

        Assert.Contains("this model has none", Assert.Single(extension.Problems(alone, "method", "factor")).Message);
        Assert.Empty(extension.Problems(hybrid, "method", "factor"));
        Assert.Equal((false, true), (alone.HasOnlyRotaryPositions(), hybrid.HasOnlyRotaryPositions()));
    }

    [Theory]
    [InlineData(0.5, "factor (0.5) is the new context length over the old one; use 1 or more")]
    [InlineData(double.NaN, "factor (NaN) is the new context length over the old one; use 1 or more")]
    [InlineData(1.01, "factor (1.01) × contextLength (64) is 64.64, no whole number of positions; use 1.015625")]
    [InlineData(1e9, "factor (1000000000) × contextLength (64) is 64000000000, more than 16777216; use 262144 or less")]
    public void Factors_that_do_not_go_are_refused(double factor, string message) =>
        Assert.Equal([new Problem("factor", message)], new ContextExtension("linear", factor).Problems(Model, "method", "factor"));

    public static TheoryData<string, string> Others => new()
    {
        { "learned", "scales rotary positions, and model.position is 'learned': it has learned a vector for each position and has none " +
            "for later ones; train another model with rotary positions" },
        { "alibi", "scales rotary positions, and model.position is 'alibi': it reaches further as it is; set model.contextLength in a " +
            "recipe with initialize.from" },
        { "t5", "scales rotary positions, and model.position is 't5': it reaches further as it is; set model.contextLength in a recipe " +
            "with initialize.from" },
        { "sinusoidal", "scales rotary positions, and model.position is 'sinusoidal': it cannot be stretched; train another model with " +
            "rotary positions" },
        { "none", "scales rotary positions, and this model has none: it takes any length as it is, so set model.contextLength" },
        { "yarn", "model.position.scaling is 'yarn' already, made for contextLength 64; a scaling is made from unscaled frequencies: " +
            "convert the checkpoint from before that" },
    };

    [Theory]
    [MemberData(nameof(Others))]
    public void Positions_that_cannot_be_scaled_are_refused(string position, string message)
    {
        PositionOptions options = position switch
        {
            "learned" => new LearnedOptions(),
            "alibi" => new AlibiOptions(),
            "t5" => new T5BiasOptions(),
            "sinusoidal" => new SinusoidalOptions(),
            "none" => new NoPositionOptions(),
            _ => new RotaryOptions { Scaling = new YarnScaling { Factor = 2 } },
        };
        Assert.Equal(
            [new Problem("method", message)],
            new ContextExtension("linear", 2).Problems(Model with { Position = options }, "method", "factor"));
    }
}
