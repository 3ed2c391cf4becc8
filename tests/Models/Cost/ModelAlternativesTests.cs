using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Mixers;

namespace Trainer.Models.Tests.Cost;

public class ModelAlternativesTests
{
    private static readonly DecoderOptions Model =
        Models.Llama with { Dim = 64, Layers = 4, ContextLength = 64, Attention = new MultiHeadOptions { Heads = 8 } };

    [Fact]
    public void Sharing_heads_and_compressing_them_cost_what_their_models_do()
    {
        var alternatives = ModelAlternatives.Of(Model, 100).ToDictionary(alternative => alternative.Name, alternative => alternative.Cost);
        Assert.Equal(
            ["as given", "multi-head", "grouped-query, 2 key-value heads", "multi-query", "latent", "window of 8 in 3 of 4 layers"],
            alternatives.Keys);
        long full = alternatives["as given"].CacheBytesPerToken();
        Assert.Equal(full, alternatives["multi-head"].CacheBytesPerToken());
        Assert.Equal(full / 4, alternatives["grouped-query, 2 key-value heads"].CacheBytesPerToken());
        Assert.Equal(full / 8, alternatives["multi-query"].CacheBytesPerToken());
        // Only the full layer of four grows with the text.
        Assert.Equal(full / 4, alternatives["window of 8 in 3 of 4 layers"].CacheBytesPerToken());
        Assert.Equal(
            ModelCost.Of(Model with { Attention = new GroupedQueryOptions { Heads = 8, KeyValueHeads = 2 } }, 100).Parameters,
            alternatives["grouped-query, 2 key-value heads"].Parameters);
    }

    [Fact]
    public void Layers_of_a_pattern_keep_what_is_not_attention()
    {
        DecoderOptions hybrid = Model with
        {
            LayerPattern = [new() { Repeat = 3, Mixer = new Mamba2Options { HeadDim = 8 } }, new()],
        };
        var alternatives = ModelAlternatives.Of(hybrid, 100).ToDictionary(alternative => alternative.Name, alternative => alternative.Cost);
        Assert.DoesNotContain(alternatives.Keys, name => name.StartsWith("window", StringComparison.Ordinal));
        Assert.Equal(
            ModelCost.Of(hybrid with { Attention = new MultiQueryOptions { Heads = 8 } }, 100).Parameters,
            alternatives["multi-query"].Parameters);
    }

    [Fact]
    public void What_cannot_be_built_is_left_out()
    {
        DecoderOptions two = Model with { Attention = new MultiHeadOptions { Heads = 2, Kernel = AttentionKernel.Linear } };
        var names = ModelAlternatives.Of(two, 100).Select(alternative => alternative.Name).ToArray();
        Assert.DoesNotContain(
            names, name => name.StartsWith("grouped", StringComparison.Ordinal) || name.StartsWith("window", StringComparison.Ordinal)
            || name == "latent");
        Assert.Contains("multi-query", names);
    }

    [Fact]
    public void A_window_is_paid_for_by_its_width_and_linear_attention_by_a_heads()
    {
        double Attention(int length, PatternOptions? pattern = null, AttentionKernel kernel = AttentionKernel.Auto)
        {
            DecoderOptions options = Model with { Attention = Model.Attention with { Pattern = pattern, Kernel = kernel } };
            ModelCost cost = ModelCost.Of(options, 100);
            return cost.ForwardFlopsPerToken(length) - 2.0 * cost.MatrixParameters;
        }

        Assert.Equal(4.0 * 4 * 64 * 1000, Attention(1000));
        Assert.Equal(Attention(16), Attention(1000, new SlidingOptions { Window = 16 }));
        Assert.Equal(Attention(10), Attention(10, new SlidingOptions { Window = 16 }));
        Assert.Equal(Attention(20 + 50), Attention(1000, new StridedOptions { Stride = 20 }));
        Assert.Equal(Attention(8), Attention(1000, kernel: AttentionKernel.Linear)); // a head of 8
    }
}
