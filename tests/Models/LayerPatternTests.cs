using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using Trainer.Tests;

namespace Trainer.Models.Tests;

/// <summary>Layers that differ from one another.</summary>
public class LayerPatternTests
{
    private const string Base = """
        "architecture": "decoder", "dim": 16, "layers": 5, "contextLength": 8,
        "attention": { "type": "grouped-query", "heads": 4, "keyValueHeads": 2, "queryKeyNorm": true },
        "feedForward": { "type": "swiglu", "hiddenDim": 48 }
        """;

    [Fact]
    public void A_group_says_only_what_differs_and_the_pattern_starts_again_at_its_end()
    {
        ModelOptions model = Load("""[ { "repeat": 2, "attention": { "kernel": "reference" } }, { "position": { "type": "none" }, "feedForward": { "type": "gelu" } } ]""");
        var layers = model.Stacks[0].Layers;
        Assert.Equal(
            [AttentionKernel.Reference, AttentionKernel.Reference, AttentionKernel.Auto, AttentionKernel.Reference,
                AttentionKernel.Reference],
            layers.Select(layer => layer.Attention.Kernel));
        Assert.All(layers, layer => Assert.True(layer.Attention is GroupedQueryOptions { Heads: 4, KeyValueHeads: 2, QueryKeyNorm: true }));
        Assert.Equal(
            [typeof(RotaryOptions), typeof(RotaryOptions), typeof(NoPositionOptions), typeof(RotaryOptions), typeof(RotaryOptions)],
            layers.Select(layer => layer.Position.GetType()));
        Assert.Equal(new GeluOptions(), layers[2].FeedForward with { HiddenDim = null });
        Assert.Equal(new SwiGluOptions { HiddenDim = 48 }, layers[3].FeedForward);
    }

    [Fact]
    public void Another_type_of_attention_takes_over_what_both_have()
    {
        ModelOptions model = Load("""[ { "attention": { "type": "multi-head", "heads": 8 } }, {} ]""");
        Assert.True(model.Stacks[0].Layers[0].Attention is MultiHeadOptions { Heads: 8 });
        Assert.True(model.Stacks[0].Layers[1].Attention is GroupedQueryOptions { Heads: 4 });
    }

    [Fact]
    public void What_is_saved_loads_to_the_same_model()
    {
        ModelOptions model = Load("""[ { "repeat": 3, "attention": { "kernel": "reference" } }, { } ]""");
        string saved = ConfigurationJson.Serialize(model);
        Assert.Equal(saved, ConfigurationJson.Serialize(ConfigurationJson.Deserialize<ModelOptions>(saved, "test")));
    }

    // A null that takes back what the model says: without it, the group would inherit that again.
    [Fact]
    public void What_a_group_takes_back_is_taken_back_once_it_is_saved()
    {
        ModelOptions model = ConfigurationJson.Deserialize<ModelOptions>("""
            { "architecture": "decoder", "dim": 16, "layers": 2, "contextLength": 8,
              "attention": { "type": "multi-head", "heads": 4, "pattern": { "type": "sliding", "window": 4 } },
              "position": { "type": "rotary", "scaling": { "type": "linear", "factor": 2 } },
              "layerPattern": [ { "attention": { "pattern": null } }, { "position": { "scaling": null } } ] }
            """, "test");
        RequireTakenBack(model);
        RequireTakenBack(ConfigurationJson.Deserialize<ModelOptions>(ConfigurationJson.Serialize(model), "test"));

        static void RequireTakenBack(ModelOptions model)
        {
            var layers = model.Stacks[0].Layers;
            Assert.Equal(
                [typeof(CausalOptions), typeof(SlidingOptions)], layers.Select(layer => layer.Attention.ResolvedPattern.GetType()));
            Assert.Equal([false, true], layers.Select(layer => ((RotaryOptions)layer.Position).Scaling is null));
        }
    }

    [Fact]
    public void Every_mistake_is_listed_at_its_place()
    {
        var problems = Assert.Throws<ConfigurationException>(() => Load("""
            [ { "repeat": 0, "attention": { "kernel": "quick", "heds": 3 } }, { "attention": { "keyValueHeads": 3 }, "position": { "type": "learned" } } ]
            """)).Problems;
        Assert.Equal(
            ["layerPattern.0.attention.heds", "layerPattern.0.attention.kernel", "layerPattern.0.repeat",
                "layerPattern.1.attention.keyValueHeads"],
            problems.Select(problem => problem.Path).Where(path => path.StartsWith("layerPattern", StringComparison.Ordinal)).Distinct()
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Mistakes_of_the_outer_attention_do_not_hide_those_of_a_group()
    {
        var problems = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<ModelOptions>("""
            { "architecture": "decoder", "dim": 16, "layers": 2, "contextLength": 8,
              "attention": { "type": "multi-head", "heads": 4, "kernel": "quick" },
              "layerPattern": [ { "attention": { "kernel": "slow" } } ] }
            """, "test")).Problems;
        Assert.Equal(["attention.kernel", "layerPattern.0.attention.kernel"], problems.Select(problem => problem.Path));
    }

    [Fact]
    public void Positions_that_all_layers_share_cannot_differ()
    {
        DecoderOptions learned = Models.Llama with { LayerPattern = [new() { Position = new LearnedOptions() }] };
        Assert.Equal(
            "layerPattern.0.position: type 'learned' cannot differ between layers: it is shared by all of them; use 'rotary', 'alibi' " +
                "or 'none' here",
            Assert.Single(Models.Problems(learned)));
        DecoderOptions late = Models.Gpt with { LayerPattern = [new() { Position = new RotaryOptions() }] };
        Assert.Equal(
            "layerPattern.0.position: type 'rotary' comes too late for these layers: model.position 'learned' is in the embeddings " +
                "already; set model.position to 'rotary' or 'none'",
            Assert.Single(Models.Problems(late)));
    }

    [Fact]
    public void Layers_without_positions_do_not_notice_order_and_the_others_do()
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        DecoderOptions none = Models.Llama with { LayerPattern = [new() { Position = new NoPositionOptions() }] };
        DecoderOptions mixed = Models.Llama with { LayerPattern = [new(), new() { Position = new NoPositionOptions() }] };
        using LanguageModel without = Models.Build(none), both = Models.Build(mixed),
            plain = Models.Build(Models.Llama with { Position = new NoPositionOptions() });
        var tokens = Models.Tokens(1, 8);
        TensorAssert.Same(plain.forward(tokens), without.forward(tokens));
        Assert.False(both.forward(tokens).Equals(plain.forward(tokens)));
    }

    private static ModelOptions Load(string pattern) =>
        ConfigurationJson.Deserialize<ModelOptions>($$"""{ {{Base}}, "layerPattern": {{pattern}} }""", "test");
}
