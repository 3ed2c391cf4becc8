using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Models.Tests;

public class ModelValidationTests
{
    [Fact]
    public void Sound_options_have_no_problems()
    {
        Assert.Empty(ModelValidation.All(Models.Gpt));
        Assert.Empty(ModelValidation.All(Models.Llama));
    }

    [Fact]
    public void Heads_must_divide_dim() =>
        Expect(Models.Gpt with { Dim = 128, Attention = new MultiHeadOptions { Heads = 6 } },
            "attention.heads: heads (6) must divide dim (128); try 1, 2, 4 or 8, or set headDim");

    [Fact]
    public void Key_value_heads_must_divide_heads() =>
        Expect(Models.Gpt with { Dim = 18, Attention = new GroupedQueryOptions { Heads = 6, KeyValueHeads = 4 } },
            "attention.keyValueHeads: heads (6) must be a multiple of keyValueHeads (4); try 1, 2, 3 or 6");

    [Fact]
    public void A_decoder_must_not_see_the_future() =>
        Expect(Models.Gpt with { Attention = new MultiHeadOptions { Heads = 4, Pattern = new FullOptions() } },
            "attention.pattern: type 'full' lets a decoder see the token it has to predict; use 'causal'");

    [Fact]
    public void Flash_demanded_beyond_its_head_dimension_is_refused() =>
        Expect(Models.Gpt with { Dim = 1280, Attention = new MultiHeadOptions { Heads = 4, Kernel = AttentionKernel.Flash } },
            "attention.kernel: flash takes head dimensions up to 256, and dim / heads is 320; use more heads or kernel 'reference'");

    [Fact]
    public void An_encoder_may_have_other_key_value_heads_but_not_other_heads_or_a_pattern_in_two_places()
    {
        EncoderDecoderOptions grouped = Models.EncoderDecoder with { Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 } };
        Assert.Empty(ModelValidation.All(grouped with { EncoderAttention = new MultiHeadOptions { Heads = 4 } }));
        Expect(grouped with { EncoderAttention = new MultiHeadOptions { Heads = 2 } },
            "encoderAttention.heads: heads (2) must be those of model.attention (4); only the rest may differ");
        Expect(grouped with { EncoderAttention = new MultiHeadOptions { Heads = 4, Pattern = new FullOptions() } },
            "encoderAttention.pattern: is 'full', but the pattern of the encoder is encoderPattern; leave it out here");
        Expect(grouped with { EncoderAttention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 3 } },
            "encoderAttention.keyValueHeads: heads (4) must be a multiple of keyValueHeads (3); try 1, 2 or 4");
    }

    [Fact]
    public void Rotary_needs_even_heads() =>
        Expect(Models.Gpt with { Dim = 12, Position = new RotaryOptions() },
            "position: rotary positions pair dimensions of a head, and a head has 3 (dim 12, heads 4), which is odd; choose dim or " +
            "heads so that it is even");

    [Fact]
    public void Rotary_must_turn_something() =>
        Expect(Models.Gpt with { Position = new RotaryOptions { Fraction = 0.25 } },
            "position.fraction: fraction (0.25) of a head of 4 dimensions leaves no pair to turn; use at least 0.5, or position type " +
            "'none'");

    [Fact]
    public void Scaling_must_agree_with_the_context_length() =>
        Expect(Models.Llama with { Position = new RotaryOptions { Scaling = new YarnScaling { Factor = 4, OriginalLength = 4 } } },
            "position.scaling.factor: factor (4) × originalLength (4) is 16, and contextLength is 8; set factor to 2, or contextLength " +
            "to 16, or leave factor out");

    [Fact]
    public void Scaling_rules_hold_in_every_layer()
    {
        RotaryOptions shorter = new() { Scaling = new LinearScaling { Factor = 0.5 } };
        Expect(Models.Llama with { LayerPattern = [new(), new() { Position = shorter }] },
            "layerPattern.1.position.scaling.factor: factor (0.5) is the target length over the original length; use 1 or more");
        Expect(Models.Llama with { Position = new RotaryOptions { Fraction = 0.5, Scaling = new NtkScaling { Factor = 2 } } },
            "position.scaling: scaling 'ntk' changes the base, which a single pair of turned dimensions does not depend on; turn at " +
            "least 4 dimensions of a head or use 'linear'");
    }

    [Fact]
    public void A_relative_bias_has_one_number_of_heads() =>
        Expect(Models.Llama with { Position = new T5BiasOptions(),
            LayerPattern = [new(), new() { Attention = new MultiHeadOptions { Heads = 8 } }] },
            "position: type 't5' has one table for all layers, with a column for each of 4 heads, and these layers have 8; give them " +
            "as many heads, or set their position to 'none'");

    [Fact]
    public void Flash_demanded_with_a_bias_is_refused() =>
        Expect(Models.Variant("multi-head", "alibi", AttentionKernel.Flash),
            "attention.kernel: flash cannot add the bias of positions 'alibi' to the scores; use kernel 'auto' or 'reference', or " +
            "position 'rotary'");

    [Fact]
    public void Flash_demanded_for_a_window_of_the_encoder_is_refused_at_its_pattern()
    {
        const string Expected = "encoderPattern: flash computes the patterns full and causal, not 'sliding'; use kernel 'block-sparse'";
        MultiHeadOptions flash = new() { Heads = 4, Kernel = AttentionKernel.Flash };
        EncoderDecoderOptions window = Models.EncoderDecoder with { EncoderPattern = new SlidingOptions { Window = 4, Causal = false } };
        Assert.Empty(ModelValidation.All(Models.EncoderDecoder with { Attention = flash }));
        Expect(window with { Attention = flash }, Expected);
        Expect(window with { EncoderAttention = flash }, Expected);
    }

    [Fact]
    public void A_relative_bias_needs_even_buckets_and_far_distances()
    {
        Expect(Models.Llama with { Position = new T5BiasOptions { Buckets = 7 } },
            "position.buckets: buckets (7) are halved between near and far distances; use 8");
        Expect(Models.Llama with { Position = new T5BiasOptions { Buckets = 32, MaxDistance = 16 } },
            "position.maxDistance: maxDistance (16) leaves no far distances: half of the buckets (32) hold one distance each; use more " +
            "than 16");
    }

    [Fact]
    public void Sinusoidal_needs_an_even_dim() =>
        Expect(Models.Gpt with { Dim = 15, Attention = new MultiHeadOptions { Heads = 3 }, Position = new SinusoidalOptions() },
            "position: sinusoidal positions pair dimensions, and dim (15) is odd; use 16");

    [Fact]
    public void Latent_attention_has_norms_of_its_own() =>
        Expect(Models.Llama with { Attention = new LatentOptions { Heads = 4, QueryKeyNorm = true } },
            "attention.queryKeyNorm: is true, but type 'latent' always has norms of its own, on the vectors that queries, keys and " +
            "values are made from; set it to false");

    [Fact]
    public void Latent_attention_has_nothing_to_save_from_a_sum() =>
        Expect(Models.Llama with { Attention = new LatentOptions { Heads = 4, Kernel = AttentionKernel.Linear },
            Position = new NoPositionOptions() },
            "attention.kernel: 'linear' remembers one sum of keys and values, so that there is nothing for type 'latent' to make " +
            "smaller; use type 'multi-head', or another kernel");

    [Fact]
    public void Rotary_needs_an_even_turned_part_of_latent_attention() =>
        Expect(Models.Llama with { Attention = new LatentOptions { Heads = 4, RopeDim = 3 } },
            "position: rotary positions pair dimensions of a head, and a head has 3 (dim 16, heads 4), which is odd; choose dim or " +
            "heads so that it is even");

    [Fact]
    public void A_state_space_needs_heads_that_fit() =>
        Expect(Models.Llama with { Mixer = new Mamba2Options() },
            "mixer.headDim: headDim (64) must divide expand · dim (2 · 16 = 32); try 4, 8, 16 or 32");

    [Fact]
    public void A_state_space_needs_groups_that_fit() =>
        Expect(Models.Hybrid with { LayerPattern = [new LayerGroupOptions { Mixer = Models.Mamba2 with { Groups = 3 } }] },
            "layerPattern.0.mixer.groups: groups (3) must divide the number of heads, expand · dim / headDim (8); try 1, 2, 4 or 8");

    [Fact]
    public void An_encoder_cannot_only_look_back() =>
        Expect(new EncoderOptions { Dim = 16, Layers = 1, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 4 },
            Mixer = Models.Mamba2 },
            "mixer: type 'mamba2' only looks back, and an encoder sees the whole text; use 'attention', or model.architecture 'decoder'");

    [Fact]
    public void The_encoder_before_a_decoder_cannot_only_look_back_either() =>
        Expect(new EncoderDecoderOptions { Dim = 16, Layers = 1, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 4 },
            Mixer = Models.Mamba2 },
            "mixer: type 'mamba2' only looks back, and the encoder, which it would be in as well, sees the whole text; give it to " +
            "layers of the decoder in layerPattern");

    [Fact]
    public void Attention_of_layers_that_have_none_is_a_mistake() =>
        Expect(Models.Hybrid with { LayerPattern =
            [new LayerGroupOptions { Mixer = Models.Mamba2, Attention = new MultiHeadOptions { Heads = 2 } }] },
            "layerPattern.0.attention: means nothing to the mixer of these layers, 'mamba2'; leave it out");

    [Fact]
    public void All_problems_are_reported_together()
    {
        DecoderOptions options = Models.Gpt with
        {
            Dim = 18,
            Attention = new GroupedQueryOptions { Heads = 6, KeyValueHeads = 4, Pattern = new FullOptions() },
            Position = new RotaryOptions(),
        };
        Assert.Equal(3, Assert.Throws<ConfigurationException>(() => options.Build(Models.Vocabulary)).Problems.Count);
    }

    private static void Expect(ModelOptions options, string expected) => Assert.Equal([expected], Models.Problems(options));
}
