using System.Text.Json;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Models.Tests;

/// <summary>The names in a configuration are a contract.</summary>
public class ModelOptionsJsonTests
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    [Fact]
    public void Every_name_of_the_contract_binds()
    {
        const string text = """
            { "architecture": "decoder", "dim": 384, "layers": 6, "contextLength": 256, "tieEmbeddings": false, "dropout": 0.1, "bias": true,
              "attention": { "type": "grouped-query", "heads": 6, "keyValueHeads": 2, "pattern": { "type": "causal" }, "kernel": "flash", "queryKeyNorm": true,
                "scalableSoftmax": true, "temperature": { "floor": 64, "scale": 0.2 } },
              "position": { "type": "rotary", "theta": 500000, "fraction": 0.5, "layout": "interleaved",
                "scaling": { "type": "yarn", "factor": 4, "originalLength": 64 } },
              "feedForward": { "type": "swiglu", "hiddenDim": 1024 },
              "norm": { "type": "rms", "placement": "pre" } }
            """;
        DecoderOptions expected = new()
        {
            Dim = 384,
            Layers = 6,
            ContextLength = 256,
            TieEmbeddings = false,
            Dropout = 0.1,
            Bias = true,
            Attention = new GroupedQueryOptions
            {
                Heads = 6,
                KeyValueHeads = 2,
                Pattern = new CausalOptions(),
                Kernel = AttentionKernel.Flash,
                QueryKeyNorm = true,
                ScalableSoftmax = true,
                Temperature = new() { Floor = 64, Scale = 0.2 },
            },
            Position = new RotaryOptions { Theta = 500000, Fraction = 0.5, Layout = RotaryLayout.Interleaved,
                Scaling = new YarnScaling { Factor = 4, OriginalLength = 64 } },
            FeedForward = new SwiGluOptions { HiddenDim = 1024 },
            Norm = new RmsNormOptions { Placement = NormPlacement.Pre },
        };
        Assert.Equal<ModelOptions>(expected, JsonSerializer.Deserialize<ModelOptions>(text, Json));
    }

    [Fact]
    public void Every_name_of_differential_attention_binds() => Assert.Equal<AttentionOptions>(
        new DifferentialOptions { Heads = 6, HeadDim = 32, KeyValueHeads = 2, LambdaInit = 0.5, NormEpsilon = 1e-6 },
        JsonSerializer.Deserialize<AttentionOptions>(
            """
            { "type": "differential", "heads": 6, "headDim": 32, "keyValueHeads": 2, "lambdaInit": 0.5, "normEpsilon": 1e-6 }
            """,
            Json));

    [Fact]
    public void Every_name_of_latent_attention_and_of_a_hybrid_binds()
    {
        const string text = """
            { "architecture": "decoder", "dim": 384, "layers": 8, "contextLength": 256,
              "mixer": { "type": "mamba2", "stateDim": 32, "headDim": 16, "expand": 3, "groups": 2, "convolution": 3, "chunk": 16 },
              "attention": { "type": "latent", "heads": 6, "headDim": 32, "ropeDim": 16, "valueDim": 24, "keyValueRank": 128, "queryRank": 96 },
              "layerPattern": [ { "repeat": 3 }, { "mixer": { "type": "attention" } } ] }
            """;
        var options = JsonSerializer.Deserialize<ModelOptions>(text, Json)!;
        Assert.Equal(new Mamba2Options { StateDim = 32, HeadDim = 16, Expand = 3, Groups = 2, Convolution = 3, Chunk = 16 }, options.Mixer);
        Assert.Equal(new LatentOptions { Heads = 6, HeadDim = 32, RopeDim = 16, ValueDim = 24, KeyValueRank = 128, QueryRank = 96 },
            options.Attention);
        Assert.Null(options.LayerPattern![0].Mixer);
        Assert.Equal(new AttentionMixerOptions(), options.LayerPattern[1].Mixer);
        Assert.Equal("mamba2, mamba2, mamba2, attention, mamba2",
            string.Join(", ", options.Stacks[0].Layers.Take(5).Select(layer => layer.Mixer.Type)));
    }

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void Options_survive_a_round_trip(string projection, string position)
    {
        ModelOptions options = Models.Variant(projection, position);
        Assert.Equal(options, JsonSerializer.Deserialize<ModelOptions>(JsonSerializer.Serialize(options, Json), Json));
    }

    [Fact]
    public void Every_pattern_kernel_and_cache_binds_by_its_name()
    {
        const string text = """
            [ { "type": "multi-head", "heads": 2, "pattern": { "type": "sliding", "window": 64, "causal": false, "sinks": 4 }, "kernel": "block-sparse", "cache": "rolling" },
              { "type": "multi-head", "heads": 2, "pattern": { "type": "prefix", "prefixLength": 8 }, "cache": "paged" },
              { "type": "multi-head", "heads": 2, "pattern": { "type": "strided", "stride": 16 }, "cache": "contiguous" },
              { "type": "multi-head", "heads": 2, "pattern": { "type": "fixed", "stride": 16, "summary": 2 }, "cache": "auto" },
              { "type": "multi-head", "heads": 2, "pattern": { "type": "longformer", "window": 16, "globalTokens": 2, "causal": true } },
              { "type": "multi-head", "heads": 2, "pattern": { "type": "bigbird", "blockSize": 8, "windowBlocks": 1, "globalBlocks": 0, "randomBlocks": 2, "seed": 5, "causal": true } },
              { "type": "multi-head", "heads": 2, "kernel": "linear" } ]
            """;
        AttentionOptions Heads(PatternOptions? pattern, AttentionCache cache = AttentionCache.Auto) =>
            new MultiHeadOptions { Heads = 2, Pattern = pattern, Cache = cache };
        Assert.Equal(
            [
                Heads(new SlidingOptions { Window = 64, Causal = false, Sinks = 4 },
                    AttentionCache.Rolling) with { Kernel = AttentionKernel.BlockSparse },
                Heads(new PrefixOptions { PrefixLength = 8 }, AttentionCache.Paged),
                Heads(new StridedOptions { Stride = 16 }, AttentionCache.Contiguous),
                Heads(new FixedOptions { Stride = 16, Summary = 2 }),
                Heads(new LongformerOptions { Window = 16, GlobalTokens = 2, Causal = true }),
                Heads(new BigBirdOptions { BlockSize = 8, WindowBlocks = 1, GlobalBlocks = 0, RandomBlocks = 2, Seed = 5, Causal = true }),
                Heads(null) with { Kernel = AttentionKernel.Linear },
            ],
            JsonSerializer.Deserialize<AttentionOptions[]>(text, Json)!);
    }

    [Theory]
    [MemberData(nameof(Models.DenseKinds), MemberType = typeof(Models))]
    public void Every_kind_of_feed_forward_layer_binds(string kind)
    {
        string text = $$"""{ "type": "{{kind}}", "hiddenDim": 24, "bias": true }""";
        FeedForwardOptions expected = Models.FeedForwards[kind] with { HiddenDim = 24, Bias = true };
        Assert.Equal(expected, JsonSerializer.Deserialize<FeedForwardOptions>(text, Json));
        Assert.Equal(expected, JsonSerializer.Deserialize<FeedForwardOptions>(JsonSerializer.Serialize(expected, Json), Json));
    }

    [Theory]
    [InlineData(128, 352)]
    [InlineData(384, 1024)]
    [InlineData(96, 256)]
    public void Swiglu_is_eight_thirds_rounded_up_to_32(int dim, int expected) => Assert.Equal(expected, new SwiGluOptions().Width(dim));
}
