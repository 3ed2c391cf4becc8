using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;

namespace Trainer.Models.Tests.Cost;

public class ModelCostTests
{
    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void The_parameters_are_those_of_the_built_model(string projection, string position) =>
        Agree(Models.Variant(projection, position));

    public static TheoryData<string> FeedForwards => [.. Models.FeedForwards.Keys, "of a width of its own"];

    [Theory]
    [MemberData(nameof(FeedForwards))]
    public void The_parameters_are_those_of_the_built_model_with_every_feed_forward_layer(string kind) =>
        Agree(Models.Llama with { FeedForward = Models.FeedForwards.GetValueOrDefault(kind, new SwiGluOptions { HiddenDim = 24 }) });

    // With and without biases and a head of its own, under either norm.
    private static void Agree(DecoderOptions model)
    {
        foreach (bool bias in (bool[])[false, true])
        foreach (bool tied in (bool[])[false, true])
        foreach (var norm in new[] { Models.Gpt.Norm, Models.Llama.Norm })
        {
            DecoderOptions options = model with { Bias = bias, TieEmbeddings = tied, Norm = norm };
            using LanguageModel built = options.Build(Models.Vocabulary);
            ModelCost cost = ModelCost.Of(options, Models.Vocabulary);
            string kind = $"bias {bias}, tied {tied}, norm {norm}";
            long parameters = built.parameters().Sum(parameter => parameter.numel());
            Assert.True(parameters == cost.Parameters, $"{kind}: the model has {parameters} parameters, not {cost.Parameters}");
            Assert.All(cost.Components, component => Assert.Equal(Built(built, component.Name), component.Parameters));
        }
    }

    private static readonly Dictionary<string, ModelOptions> Architectures = new()
    {
        ["decoder"] = Models.Gpt with { HeadBias = true },
        ["encoder"] = Models.Encoder with { HeadTransform = true, EmbeddingNorm = true },
        ["encoder-decoder of two kinds of attention"] = Models.EncoderDecoder with
        {
            Attention = new MultiQueryOptions { Heads = 4 },
            EncoderAttention = new MultiHeadOptions { Heads = 4, Bias = true },
        },
        ["encoder-decoder of two depths"] =
            Models.EncoderDecoder with { EncoderLayers = 3, Position = new LearnedOptions(), EmbeddingNorm = true },
    };

    public static MatrixTheoryData<string, NormPlacement, bool> ArchitecturesInDetail() =>
        new(Architectures.Keys, Enum.GetValues<NormPlacement>(), [false, true]);

    [Theory]
    [MemberData(nameof(ArchitecturesInDetail))]
    public void Every_architecture_has_the_parameters_that_its_options_say(string architecture, NormPlacement placement, bool bias)
    {
        ModelOptions options = Architectures[architecture] with
        {
            Bias = bias,
            Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, HeadDim = 6, QueryKeyNorm = true, Bias = true },
            Norm = new LayerNormOptions { Placement = placement },
            FeedForward = new GeluOptions(),
            LayerPattern = [new() { FeedForward = new SwiGluOptions() }, new()],
        };
        using LanguageModel model = options.Build(Models.Vocabulary);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
    }

    [Fact]
    public void Gpt2_small_costs_what_is_known_of_it()
    {
        DecoderOptions gpt2 =
            Models.Gpt with { Dim = 768, Layers = 12, ContextLength = 1024, Bias = true, Attention = new MultiHeadOptions { Heads = 12 } };
        ModelCost cost = ModelCost.Of(gpt2, 50257);
        Assert.Equal(124_439_808, cost.Parameters);
        // 12 layers of 12·768² matrix weights and the head.
        Assert.Equal(12L * 12 * 768 * 768 + 50257L * 768, cost.MatrixParameters);
        Assert.Equal(6.0 * cost.MatrixParameters + 12.0 * 12 * 768 * 1024, cost.TrainingFlopsPerToken(1024));
        Assert.Equal(2 * 12 * 768 * 4, cost.CacheBytesPerToken());
        Assert.Equal(2 * 12 * 768 * 2, cost.CacheBytesPerToken(2));
    }

    [Fact]
    public void Sharing_heads_shrinks_the_cache_by_their_ratio()
    {
        long Bytes(string projection) => ModelCost.Of(Models.Variant(projection, "rotary"), Models.Vocabulary).CacheBytesPerToken();
        Assert.Equal(Bytes("multi-head"), 2 * Bytes("grouped-query"));
        Assert.Equal(Bytes("multi-head"), 4 * Bytes("multi-query"));
    }

    private static long Built(LanguageModel model, string component) =>
        model.named_parameters().Where(entry => Component(entry.name) == component).Sum(entry => entry.parameter.numel());

    private static string Component(string name) => name.Split('.') switch
    {
        ["blocks", _, "mixer", ..] => "attention",
        ["blocks", _, "feedForward", ..] => "feedForward",
        ["blocks", _, "mixerNorm" or "feedForwardNorm", ..] or ["norm", ..] => "norms",
        [var first, ..] => first,
        [] => "",
    };
}
