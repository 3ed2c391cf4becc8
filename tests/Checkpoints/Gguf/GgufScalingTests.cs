using TorchSharp;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.Weights;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Gguf;

/// <summary>What llama.cpp reads of scaled rotary positions and of experts: where it is missing, llama.cpp computes something else and says
/// nothing.</summary>
public sealed class GgufScalingTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("llama", "")]
    [InlineData("llama-linear", "type linear, factor 4")]
    [InlineData("llama-yarn", "type yarn, factor 4, original_context_length 16, yarn_beta_fast 32, yarn_beta_slow 1, attn_factor 1.0000")]
    // 1.25 is final, and llama.cpp multiplies 0.1 ln 4 + 1 to what it is told: 1.25 / 1.13863.
    [InlineData("llama-yarn-factor",
        "type yarn, factor 4, original_context_length 16, yarn_beta_fast 8, yarn_beta_slow 1, attn_factor 1.0978")]
    public void Scalings_with_a_name_are_settings(string fixture, string expected)
    {
        const string prefix = "llama.rope.scaling.";
        GgufReader file = ExportedFixture.Of(folder, fixture);
        Assert.Equal(expected, string.Join(", ", file.Metadata.Where(entry => entry.Key.StartsWith(prefix)).Select(entry =>
            $"{entry.Key[prefix.Length..]} {(entry.Key.EndsWith("attn_factor") ? $"{entry.Value:F4}" : entry.Value)}")));
        Assert.DoesNotContain("rope_freqs.weight", file.Tensors.Keys);
        Assert.Equal(64u, file.Metadata["llama.context_length"]);
    }

    [Fact]
    public void Llama_3s_is_a_tensor_of_what_frequencies_are_divided_by()
    {
        GgufReader file = ExportedFixture.Of(folder, "llama-3");
        Assert.DoesNotContain(file.Metadata.Keys, key => key.StartsWith("llama.rope.scaling"));
        GgufEntry divisors = file.Tensors["rope_freqs.weight"];
        Assert.Equal([4], divisors.Shape);
        Assert.Equal(0u, divisors.Type);
        // The first pair turns 16 / 2π = 2.5465 times within the original length, between 1 and 4: (2.5465 − 1) / 3 of it stays, and the
        // rest is divided by 8.
        double kept = (16 / (2 * Math.PI) - 1) / 3;
        TensorAssert.Equal([(float)(1 / (kept + (1 - kept) / 8)), 8, 8, 8], divisors.Numbers, 1e-5);
    }

    [Fact]
    public void Experts_lie_in_one_tensor_and_are_chosen_in_float32()
    {
        using DisposeScope scope = NewDisposeScope();
        GgufReader file = ExportedFixture.Of(folder, "mixtral", GgufType.F16);
        Assert.Equal("llama", file.Metadata["general.architecture"]);
        Assert.Equal((4u, 2u), (file.Metadata["llama.expert_count"], file.Metadata["llama.expert_used_count"]));
        Assert.Equal(0u, file.Tensors["blk.0.ffn_gate_inp.weight"].Type);
        using WeightFiles source = WeightFiles.OpenDirectory(Goldens.PathOf("mixtral"));
        foreach (var (name, original) in new[] { ("ffn_gate_exps", "w1"), ("ffn_up_exps", "w3"), ("ffn_down_exps", "w2") })
        {
            GgufEntry experts = file.Tensors[$"blk.1.{name}.weight"];
            Assert.Equal(1u, experts.Type);
            using Tensor third = source.Read($"model.layers.1.block_sparse_moe.experts.2.{original}.weight");
            Assert.Equal([4, .. third.shape], experts.Shape);
            int length = (int)third.numel();
            using Tensor exported = tensor(experts.Numbers[(2 * length)..(3 * length)], third.shape);
            TensorAssert.AllClose(third, exported, relative: 1e-3, absolute: 1e-7, name);
        }
    }
}
