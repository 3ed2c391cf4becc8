using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;
using static Trainer.Checkpoints.Tests.HuggingFace.FixtureEdits;

namespace Trainer.Checkpoints.Tests.HuggingFace;

/// <summary>Files of older and newer versions, and settings that are left out, mean what transformers takes them for.</summary>
public sealed class SpellingTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TensorFlow_s_names_of_norms_are_read()
    {
        string directory = folder.Copy("bert");
        Rename(directory, name => name.Replace("LayerNorm.weight", "LayerNorm.gamma").Replace("LayerNorm.bias", "LayerNorm.beta"));
        RequireSame("bert", directory);
    }

    [Fact]
    public void An_embedding_may_be_stored_as_the_decoder_s()
    {
        string directory = folder.Copy("bart");
        Rename(directory, name => name == "model.shared.weight" ? "model.decoder.embed_tokens.weight" : name);
        RequireSame("bart", directory);
    }

    [Fact]
    public void A_model_without_a_head_has_no_bias_of_it()
    {
        string directory = folder.Copy("bart");
        Rename(directory, name => name == "final_logits_bias" ? null : name["model.".Length..]);
        RequireSame("bart", directory, but: "head.bias");
        using DisposeScope scope = NewDisposeScope();
        using HuggingFaceImport import = HuggingFaceImport.Open(directory, _ => { });
        Assert.Equal(0, import.Weights.Single(weight => weight.Name == "head.bias").Read().abs().max().ToDouble());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, true)]
    public void A_head_that_is_another_matrix_is_not_the_embedding_whatever_version_5_writes(bool isEqual, bool isTied)
    {
        string directory = folder.Copy("t5-v1.1");
        Set(directory, "tie_word_embeddings", true);
        Set(directory, "scale_decoder_outputs", false);
        if (isEqual) Rewrite(directory, tensors => tensors["lm_head.weight"] = tensors["shared.weight"].clone());
        using HuggingFaceImport import = HuggingFaceImport.Open(directory, _ => { });
        Assert.Equal((isTied, 1.0), (import.Options.TieEmbeddings, import.Options.LogitScale));
        if (!isEqual) RequireSame("t5-v1.1", directory);
    }

    [Fact]
    public void The_head_for_masked_tokens_knows_one_activation()
    {
        string directory = folder.Copy("bert");
        Set(directory, "hidden_act", "relu");
        Assert.Contains(
            "hidden_act is \"relu\"; this program knows gelu",
            Assert.Throws<UserException>(() => HuggingFaceImport.Open(directory, _ => { })).Message);
    }

    [Fact]
    public void A_scaling_of_the_older_spelling_comes_before_the_newer_one()
    {
        string directory = folder.Copy("llama");
        Set(directory, "rope_parameters", new JsonObject { ["rope_type"] = "default", ["rope_theta"] = 500.0 });
        Set(directory, "rope_scaling", new JsonObject { ["rope_type"] = "linear", ["factor"] = 2.0 });
        using HuggingFaceImport import = HuggingFaceImport.Open(directory, _ => { });
        RotaryOptions rotary = Assert.IsType<RotaryOptions>(import.Options.Position);
        Assert.Equal((500.0, 2.0), (rotary.Theta, Assert.IsType<LinearScaling>(rotary.Scaling).Factor));
    }

    [Fact]
    public void Settings_that_are_left_out_have_their_family_s_values()
    {
        string mixtral = folder.Copy("mixtral"), qwen = folder.Copy("qwen2-window");
        Set(mixtral, "rope_theta", null);
        Set(mixtral, "rope_parameters", null);
        Set(mixtral, "rope_scaling", null);
        Set(qwen, "sliding_window", null);
        using HuggingFaceImport first = HuggingFaceImport.Open(mixtral, _ => { }), second = HuggingFaceImport.Open(qwen, _ => { });
        Assert.Equal(1e6, Assert.IsType<RotaryOptions>(first.Options.Position).Theta);
        Assert.Contains(4096, second.Options.Stacks[0].Layers.Select(layer => (layer.Attention.Pattern as SlidingOptions)?.Window));
    }

    private static void RequireSame(string fixture, string directory, string? but = null)
    {
        using DisposeScope scope = NewDisposeScope();
        using HuggingFaceImport expected = Goldens.Open(fixture), actual = HuggingFaceImport.Open(directory, _ => { });
        Assert.Equal(expected.Weights.Select(weight => weight.Name), actual.Weights.Select(weight => weight.Name));
        foreach ((PendingTensor one, PendingTensor other) in expected.Weights.Zip(actual.Weights).Where(pair => pair.First.Name != but))
            TensorAssert.Same(one.Read(), other.Read(), one.Name);
    }

    // Null leaves a tensor out.
    private static void Rename(string directory, Func<string, string?> rename) => Rewrite(directory, tensors =>
    {
        foreach ((string name, Tensor value) in tensors.ToArray())
        {
            tensors.Remove(name);
            if (rename(name) is { } other) tensors[other] = value;
        }
    });
}
