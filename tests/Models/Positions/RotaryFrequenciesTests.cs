using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

/// <summary>Equality with the published formulas, from Fixtures/make_scaling.py.</summary>
public class RotaryFrequenciesTests
{
    /// <summary>Name in the fixture, turned dimensions, base, scaling, target length, present length.</summary>
    public static TheoryData<string, int, double, ScalingOptions?, int, int> Cases() => new()
    {
        { "none", 64, 1e4, null, 2048, 2048 },
        { "linear", 64, 1e4, new LinearScaling { Factor = 4 }, 8192, 8192 },
        { "linear", 64, 1e4, new LinearScaling { OriginalLength = 2048 }, 8192, 100 },
        { "ntk", 64, 1e4, new NtkScaling { Factor = 4, OriginalLength = 2048 }, 8192, 8192 },
        { "dynamic", 64, 1e4, new DynamicNtkScaling { Factor = 2, OriginalLength = 2048 }, 2048, 5000 },
        { "dynamic-plain", 64, 1e4, new DynamicNtkScaling(), 2048, 8192 },
        { "dynamic-short", 64, 1e4, new DynamicNtkScaling { Factor = 2 }, 2048, 1000 },
        { "none", 64, 1e4, new DynamicNtkScaling { Factor = 2 }, 2048, 2048 },
        { "by-parts", 128, 1e4, new NtkByPartsScaling { Factor = 16 }, 65536, 65536 },
        { "by-parts-pairs", 128, 1e4, new NtkByPartsScaling { Factor = 16, Ramp = FrequencyRamp.Pairs }, 65536, 65536 },
        { "yarn", 128, 1e4, new YarnScaling { Factor = 16 }, 65536, 65536 },
        { "yarn", 128, 1e4, new YarnScaling { OriginalLength = 4096 }, 65536, 10 },
        { "yarn", 128, 1e4, new YarnScaling { Factor = 16, OriginalLength = 4096, Mscale = 1 }, 65536, 65536 },
        { "yarn-turns", 128, 1e4, new YarnScaling { Factor = 16, Ramp = FrequencyRamp.Rotations }, 65536, 65536 },
        { "yarn-explicit", 128, 1e4, new YarnScaling { Factor = 16, AttentionFactor = 1.5 }, 65536, 65536 },
        { "yarn-betas", 96, 1e5, new YarnScaling { Factor = 2.5, BetaFast = 20, BetaSlow = 2 }, 2500, 2500 },
        { "yarn-step", 8, 1e4, new YarnScaling { Factor = 4, BetaFast = 1.25, BetaSlow = 1.2 }, 32, 32 },
        { "qwen", 128, 1e6, new YarnScaling { Factor = 4 }, 131072, 131072 },
        { "gpt-oss", 64, 150000, new YarnScaling { Factor = 32, Truncate = false }, 131072, 131072 },
        { "deepseek-v2", 64, 1e4, new YarnScaling { Factor = 40, Mscale = 0.707, MscaleAllDim = 0.707 }, 163840, 163840 },
        { "deepseek-unequal", 64, 1e4, new YarnScaling { Factor = 40, MscaleAllDim = 0.5 }, 163840, 163840 },
        { "llama3", 128, 5e5, new Llama3Scaling { Factor = 8, OriginalLength = 8192 }, 131072, 131072 },
        { "llama3-factors", 64, 1e4,
            new Llama3Scaling { Factor = 32, OriginalLength = 2048, LowFrequencyFactor = 2, HighFrequencyFactor = 16 }, 131072, 9 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Frequencies_and_factors_are_the_published_ones(
        string name, int turned, double theta, ScalingOptions? scaling, int contextLength, int length)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "scaling.safetensors"));
        double[] expected = TensorAssert.Values(fixture.Read($"{name}.frequencies"));
        double[] factors = TensorAssert.Values(fixture.Read($"{name}.factors"));
        RotaryFrequencies actual = RotaryFrequencies.Of(turned, theta, scaling, contextLength, length);
        Assert.Equal(expected.Length, actual.Angular.Length);
        Assert.All(expected.Zip(actual.Angular), pair => Assert.InRange(pair.Second / pair.First, 1 - 1e-12, 1 + 1e-12));
        Assert.Equal(factors[0], actual.AttentionFactor, 1e-12);
        Assert.Equal(factors[1], scaling?.ScoreFactor(contextLength) ?? 1, 1e-12);
    }

    [Fact]
    public void A_factor_of_one_changes_nothing()
    {
        double[] plain = new FrequencyBasis(32, 1e4).Frequencies();
        ScalingOptions[] all =
        [
            new LinearScaling { Factor = 1 }, new NtkScaling { Factor = 1 }, new NtkByPartsScaling { Factor = 1 },
            new DynamicNtkScaling { Factor = 1 }, new YarnScaling { Factor = 1 }, new Llama3Scaling { Factor = 1, OriginalLength = 512 },
        ];
        Assert.All(all, scaling =>
        {
            RotaryFrequencies scaled = RotaryFrequencies.Of(32, 1e4, scaling, 512, 512);
            TensorAssert.Equal(plain, scaled.Angular, 1e-15, $"{scaling}");
            Assert.Equal(1, scaled.AttentionFactor);
        });
    }

    [Fact]
    public void Ntk_keeps_the_fastest_pair_and_interpolates_the_slowest()
    {
        double[] plain = new FrequencyBasis(64, 1e4).Frequencies();
        double[] scaled = RotaryFrequencies.Of(64, 1e4, new NtkScaling { Factor = 8 }, 8192, 8192).Angular;
        Assert.Equal(plain[0], scaled[0], 1e-15);
        Assert.Equal(plain[^1] / 8, scaled[^1], 1e-15);
    }
}
