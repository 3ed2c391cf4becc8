using Trainer.Configuration;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.Positions;

namespace Trainer.Transformers.Tests;

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
    public void Rotary_needs_even_heads() =>
        Expect(Models.Gpt with { Dim = 12, Position = new RotaryOptions() },
            "position: rotary positions pair dimensions of a head, and a head has 3 (dim 12, heads 4), which is odd; choose dim or heads so that it is even");

    [Fact]
    public void Rotary_must_turn_something() =>
        Expect(Models.Gpt with { Position = new RotaryOptions { Fraction = 0.25 } },
            "position.fraction: fraction (0.25) of a head of 4 dimensions leaves no pair to turn; use at least 0.5, or position type 'none'");

    [Fact]
    public void Sinusoidal_needs_an_even_dim() =>
        Expect(Models.Gpt with { Dim = 15, Attention = new MultiHeadOptions { Heads = 3 }, Position = new SinusoidalOptions() },
            "position: sinusoidal positions pair dimensions, and dim (15) is odd; use 16");

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

    private static void Expect(ModelOptions options, string expected)
    {
        Problem problem = Assert.Single(ModelValidation.All(options));
        Assert.Equal(expected, $"{problem.Path}: {problem.Message}");
    }
}
