using System.Text.Json;
using Trainer.Configuration;
using Trainer.Models.Positions;

namespace Trainer.Models.Tests.Positions;

public class RotaryScalingTests
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    [Fact]
    public void Every_name_of_the_contract_binds()
    {
        Expect("""{ "type": "linear", "factor": 4, "originalLength": 256 }""", new LinearScaling { Factor = 4, OriginalLength = 256 });
        Expect("""{ "type": "ntk", "factor": 4 }""", new NtkScaling { Factor = 4 });
        Expect("""{ "type": "ntk-by-parts", "factor": 4, "betaFast": 16, "betaSlow": 2, "ramp": "pairs", "truncate": false }""",
            new NtkByPartsScaling { Factor = 4, BetaFast = 16, BetaSlow = 2, Ramp = FrequencyRamp.Pairs, Truncate = false });
        Expect("""{ "type": "dynamic-ntk" }""", new DynamicNtkScaling());
        Expect("""{ "type": "yarn", "originalLength": 256, "attentionFactor": 1.2, "ramp": "turns" }""",
            new YarnScaling { OriginalLength = 256, AttentionFactor = 1.2, Ramp = FrequencyRamp.Rotations });
        Expect("""{ "type": "yarn", "factor": 40, "mscale": 1, "mscaleAllDim": 0.5 }""", new YarnScaling { Factor = 40, Mscale = 1, MscaleAllDim = 0.5 });
        Expect("""{ "type": "llama3", "factor": 8, "originalLength": 8192, "lowFrequencyFactor": 1, "highFrequencyFactor": 4 }""",
            new Llama3Scaling { Factor = 8, OriginalLength = 8192 });
    }

    [Fact]
    public void Factor_original_length_and_context_length_must_agree()
    {
        Problems(new YarnScaling { Factor = 4, OriginalLength = 256 }, 512,
            "factor: factor (4) × originalLength (256) is 1024, and contextLength is 512; set factor to 2, or contextLength to 1024, or " +
                "leave factor out");
        Problems(new YarnScaling { Factor = 4, OriginalLength = 256 }, 1024);
        // 1.5 × 333 = 499.5: a length is a whole number.
        Problems(new LinearScaling { Factor = 1.5, OriginalLength = 333 }, 500);
        Problems(new LinearScaling { OriginalLength = 512 }, 256,
            "originalLength: originalLength (512) is longer than contextLength (256), and scaling only makes contexts longer; set " +
                "contextLength to the target length or originalLength to at most 256");
    }

    [Fact]
    public void Llama3_and_dynamic_factors_are_no_ratio_of_lengths()
    {
        Problems(new Llama3Scaling { Factor = 8, OriginalLength = 8192 }, 131072);
        Problems(new DynamicNtkScaling { Factor = 4, OriginalLength = 256 }, 512);
        Problems(new Llama3Scaling { Factor = 8 }, 131072,
            ": scaling 'llama3' needs both factor and originalLength: its factor is not the ratio of the lengths; Llama 3.1 uses 8 and " +
                "8192");
    }

    [Fact]
    public void A_factor_below_one_is_refused() =>
        Problems(new LinearScaling { Factor = 0.5 }, 512,
            "factor: factor (0.5) is the target length over the original length; use 1 or more");

    [Fact]
    public void A_configuration_lists_each_mistake_once_at_its_place()
    {
        var problems = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<ModelOptions>("""
            { "architecture": "decoder", "dim": 16, "layers": 2, "contextLength": 64, "attention": { "type": "multi-head", "heads": 4 },
              "position": { "type": "rotary", "layout": "halves", "scaling": { "type": "yarn", "factor": 0.5, "attentionFactor": 1, "mscale": 1 } } }
            """, "test")).Problems;
        Assert.Equal(
            ["position.layout", "position.scaling.attentionFactor", "position.scaling.factor"],
            problems.Select(problem => problem.Path).Order(StringComparer.Ordinal));
        problems = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<ModelOptions>("""
            { "architecture": "decoder", "dim": 16, "layers": 2, "contextLength": 64, "attention": { "type": "multi-head", "heads": 4 },
              "position": { "type": "rotary", "scaling": { "type": "linear", "factor": 4, "originalLength": 32 } } }
            """, "test")).Problems;
        Assert.Equal(["position.scaling.factor"], problems.Select(problem => problem.Path));
    }

    [Fact]
    public void Neither_factor_nor_original_length_is_refused() =>
        Problems(new NtkScaling(), 512,
            ": scaling 'ntk' needs the length the weights were trained at, originalLength, or its ratio to contextLength, factor; give " +
                "one of them");

    [Fact]
    public void Two_attention_factors_are_refused()
    {
        Problems(new YarnScaling { Factor = 4, AttentionFactor = 1.1, MscaleAllDim = 1 }, 512,
            "attentionFactor: attentionFactor (1.1) is final, and mscaleAllDim (1) would give another; leave one of them out");
        Problems(new YarnScaling { Factor = 4, AttentionFactor = 1.1, Mscale = 0.7, MscaleAllDim = 1 }, 512,
            "attentionFactor: attentionFactor (1.1) is final, and mscale (0.7) would give another; leave one of them out");
    }

    [Fact]
    public void A_ramp_needs_two_ends_and_takes_only_its_own_settings()
    {
        Problems(new YarnScaling { Factor = 4, BetaFast = 1, BetaSlow = 1 }, 512,
            "betaFast: betaFast (1) must be more turns than betaSlow (1); the papers use 32 and 1");
        Problems(new NtkByPartsScaling { Factor = 4, Truncate = true }, 512,
            "truncate: truncate rounds the ends of a ramp along pairs, and this ramp runs along turns; leave truncate out or set ramp " +
                "to 'pairs'");
        Problems(new Llama3Scaling { Factor = 8, OriginalLength = 8192, LowFrequencyFactor = 4 }, 512,
            "highFrequencyFactor: highFrequencyFactor (4) must be more than lowFrequencyFactor (4); Llama 3.1 uses 4 and 1");
    }

    [Fact]
    public void A_base_cannot_stretch_a_single_pair() =>
        Problems(new NtkScaling { Factor = 4 }, 512, 2,
            ": scaling 'ntk' changes the base, which a single pair of turned dimensions does not depend on; turn at least 4 dimensions " +
                "of a head or use 'linear'");

    private static void Expect(string text, ScalingOptions expected)
    {
        Assert.Equal(expected, JsonSerializer.Deserialize<ScalingOptions>(text, Json));
        Assert.Equal(expected, JsonSerializer.Deserialize<ScalingOptions>(JsonSerializer.Serialize(expected, Json), Json));
    }

    private static void Problems(ScalingOptions scaling, int contextLength, params string[] expected) =>
        Problems(scaling, contextLength, 64, expected);

    private static void Problems(ScalingOptions scaling, int contextLength, int turned, params string[] expected) =>
        Assert.Equal(expected, ((IEnumerable<Problem>)[.. scaling.Validate(), .. scaling.Against(turned, contextLength)])
            .Select(problem => $"{problem.Path}: {problem.Message}"));
}
