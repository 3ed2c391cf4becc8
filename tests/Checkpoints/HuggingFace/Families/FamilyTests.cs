using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.Tests.HuggingFace.Families;

/// <summary>Which family a model of this program's belongs to.</summary>
public class FamilyTests
{
    private static readonly DecoderOptions Model = new()
    {
        Dim = 32, Layers = 2, ContextLength = 64, Attention = new MultiHeadOptions { Heads = 4 },
    };

    [Fact]
    public void The_default_decoder_is_a_llama() => Assert.Equal("llama", FamilyRegistry.Of(Model).ModelType);

    [Fact]
    public void Normed_queries_and_keys_make_a_qwen() =>
        Assert.Equal(
            "qwen3", FamilyRegistry.Of(Model with { Attention = new MultiQueryOptions { Heads = 4, QueryKeyNorm = true } }).ModelType);

    [Fact]
    public void Experts_whose_weights_add_up_to_1_by_default_make_a_mixtral()
    {
        ExpertsOptions experts = new() { Experts = 4, Active = 2, Bias = false };
        Assert.Equal("mixtral", FamilyRegistry.Of(Model with { FeedForward = experts }).ModelType);
        Assert.Contains(
            "normalizeWeights is false; the family has true",
            Assert.Throws<UserException>(() => FamilyRegistry.Of(Model with { FeedForward = experts with { Active = 1 } })).Message);
    }

    [Fact]
    public void A_router_with_a_learned_bias_is_no_mixtral_s()
    {
        ExpertsOptions experts = new() { Experts = 4, Active = 2, Bias = false, Balance = new BiasBalanceOptions() };
        Assert.EndsWith(
            "nearest is mixtral, but for:\n  model.feedForward.balance is {\"type\":\"bias\"}; the family has null",
            Assert.Throws<UserException>(() => FamilyRegistry.Of(Model with { FeedForward = experts })).Message);
    }

    [Fact]
    public void Value_embeddings_are_in_no_family_and_how_a_model_began_does_not_matter()
    {
        Assert.EndsWith(
            "but for:\n  model.attention.valueEmbedding is true; the family has false",
            Complaint(Model with
            {
                ResidualInit = ResidualInitialization.Zero,
                Attention = (MultiHeadOptions)Model.Attention with { ValueEmbedding = true },
            }));
    }

    [Fact]
    public void Differential_attention_is_in_no_family() => Assert.EndsWith(
        "but for:\n  model.attention.type is \"differential\"; the family has \"grouped-query\"",
        Complaint(Model with { Attention = new DifferentialOptions { Heads = 4 } }));

    [Fact]
    public void Layers_of_a_recurrence_are_named_and_so_is_attention_that_is_another_function()
    {
        LayerGroupOptions recurrent = new() { Mixer = new Mamba2Options { HeadDim = 8 } };
        Assert.EndsWith(
            "but for:\n  model.mixer.type is \"mamba2\"; the family has \"attention\"", Complaint(Model with { Mixer = recurrent.Mixer }));
        Assert.EndsWith(
            "but for:\n  model.mixer.type is \"mamba2\"; the family has \"attention\" (in layers 0, 2, counted from 0)",
            Complaint(Model with { Layers = 4, LayerPattern = [recurrent, new()] }));
        Assert.EndsWith(
            "but for:\n  model.attention.kernel is \"linear\"; the family has null",
            Complaint(Model with { Attention = Model.Attention with { Kernel = AttentionKernel.Linear } }));
    }

    private static string Complaint(ModelOptions model) => Assert.Throws<UserException>(() => FamilyRegistry.Of(model)).Message;

    [Fact]
    public void A_decoder_whose_layers_all_differ_from_the_encoder_is_no_bart()
    {
        using HuggingFaceImport bart = Goldens.Open("bart");
        EncoderDecoderOptions model = (EncoderDecoderOptions)bart.Options;
        Assert.Equal("bart", FamilyRegistry.Of(model).ModelType);
        Assert.Contains(
            "\n  model.feedForward.type is \"gelu\"; the family has \"relu\"",
            Complaint(model with { LayerPattern = [new() { FeedForward = new ReluOptions { HiddenDim = model.FeedForward.HiddenDim } }] }));
    }

    [Fact]
    public void A_model_that_no_family_has_names_the_settings_in_the_way()
    {
        string message = Assert.Throws<UserException>(() => FamilyRegistry.Of(Model with
        {
            Norm = new RmsNormOptions { Placement = NormPlacement.Sandwich }, LogitSoftCap = 30,
            Position = new RotaryOptions { Layout = RotaryLayout.Interleaved },
        })).Message;
        Assert.StartsWith("no family of Hugging Face's has this model (llama, mistral, ", message);
        Assert.Contains("\n  model.norm.placement is \"sandwich\"; the family has \"pre\"", message);
        Assert.Contains("\n  model.logitSoftCap is 30; the family has null", message);
        Assert.Contains("\n  model.position.layout is \"interleaved\"; the family has \"half-split\"", message);
    }
}
