using System.Text.Json;
using Trainer.Transformers.Attention.Kernels;
using Trainer.Transformers.Attention.Patterns;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Positions;
using Trainer.Transformers.Positions.Scaling;

namespace Trainer.Transformers.Tests;

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
            Position = new RotaryOptions { Theta = 500000, Fraction = 0.5, Layout = RotaryLayout.Interleaved, Scaling = new YarnScaling { Factor = 4, OriginalLength = 64 } },
            FeedForward = new SwiGluOptions { HiddenDim = 1024 },
            Norm = new RmsNormOptions { Placement = NormPlacement.Pre },
        };
        Assert.Equal<ModelOptions>(expected, JsonSerializer.Deserialize<ModelOptions>(text, Json));
    }

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void Options_survive_a_round_trip(string projection, string position)
    {
        ModelOptions options = Models.Variant(projection, position);
        Assert.Equal(options, JsonSerializer.Deserialize<ModelOptions>(JsonSerializer.Serialize(options, Json), Json));
    }

    [Theory]
    [InlineData(128, 352)]
    [InlineData(384, 1024)]
    [InlineData(96, 256)]
    public void Swiglu_is_eight_thirds_rounded_up_to_32(int dim, int expected) => Assert.Equal(expected, new SwiGluOptions().Width(dim));
}
