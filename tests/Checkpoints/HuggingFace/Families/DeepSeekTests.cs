using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace.Families;

/// <summary>What is DeepSeek-V3's own; its logits and its round trip are tested with those of the other families.</summary>
public sealed class DeepSeekTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string directory;

    private static readonly DecoderOptions Native = new()
    {
        Dim = 32, Layers = 2, ContextLength = 64,
        Attention = new LatentOptions { Heads = 4, NormEpsilon = 1e-6 },
        LayerPattern = [new() { FeedForward = new SwiGluOptions() },
            new() { FeedForward = new ExpertsOptions { Router = RouterKind.Sigmoid, Shared = 1 } }],
    };

    public DeepSeekTests() => directory = folder.Copy("deepseek-v3");

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Layers_that_predict_more_tokens_are_left_aside()
    {
        AddLayer(2);
        Set("num_nextn_predict_layers", 1);
        List<string> warnings = [];
        using HuggingFaceImport model = HuggingFaceImport.Open(directory, warnings.Add);
        Assert.Equal(2, model.Options.Layers);
        Assert.DoesNotContain(model.Weights, weight => weight.Name.Contains("blocks.2"));
        Assert.Contains(warnings, line => line.EndsWith("left aside: num_nextn_predict_layers", StringComparison.Ordinal));
    }

    [Fact]
    public void A_layer_of_the_model_itself_is_not_left_aside()
    {
        AddLayer(1);
        Assert.Contains("model.layers.1.enorm.weight [32] has no place in the model", Error());
    }

    [Theory]
    [InlineData("n_group", "3", "n_group experts (8) must be a multiple of groups (3); try")]
    [InlineData("topk_group", "5", "topk_group activeGroups (5) is more than the groups there are (4)")]
    [InlineData("num_experts_per_tok", "9", "num_experts_per_tok active (9) is more than the experts there are (8)")]
    [InlineData("scoring_func", "\"softmax\"", "scoring_func is \"softmax\"; this program knows sigmoid")]
    [InlineData("topk_method", "\"greedy\"", "topk_method is \"greedy\"; this program knows noaux_tc")]
    [InlineData("moe_layer_freq", "2", "moe_layer_freq is 2; in this family all layers after first_k_dense_replace have experts")]
    [InlineData("num_key_value_heads", "2", "num_key_value_heads is 2, and num_attention_heads 4")]
    [InlineData("quantization_config", """{"quant_method":"fp8"}""", "quantization_config is of \"fp8\": weights that are stored with scales are not read; save the model in bfloat16")]
    public void What_stands_in_the_way_is_named(string key, string value, string message)
    {
        Set(key, JsonNode.Parse(value));
        Assert.Contains($"\n  {message}", Error());
    }

    // As transformers multiplies: cosine and sine by the first, all scores by the second.
    [Theory]
    [InlineData(1.0, 1.0, null, 1.0, 1.296477)]
    [InlineData(0.707, 1.0, null, 0.964332, 1.296477)]
    [InlineData(null, 1.0, null, 1.138629, 1.296477)]
    [InlineData(1.0, 0.0, null, 1.138629, 1.0)]
    [InlineData(null, null, 1.5, 1.5, 1.0)]
    [InlineData(1.0, 1.0, 1.5, 1.5, 1.296477)]
    public void Scores_are_multiplied_once(double? mscale, double? all, double? attentionFactor, double turned, double scores)
    {
        Yarn(("mscale", mscale), ("mscale_all_dim", all), ("attention_factor", attentionFactor));
        ModelOptions read = Read(Config());
        YarnScaling yarn = (YarnScaling)((RotaryOptions)read.Position).Scaling!;
        Assert.Null(read.Attention.Scale);
        Assert.Equal(turned, yarn.ResolvedAttentionFactor(read.ContextLength), 1e-4);
        Assert.Equal(scores, yarn.ScoreFactor(read.ContextLength), 1e-4);
        Assert.Empty(FamilyRegistry.Mismatch(new DeepSeekV3(), read).Lines);
    }

    [Fact]
    public void The_published_scaling_is_written_as_it_is_published()
    {
        JsonObject written = new DeepSeekV3().Write(CanonicalModel.Resolved(Read(Config())));
        Assert.Equal((1.0, 1.0), ((double)written["rope_scaling"]!["mscale"]!, (double)written["rope_scaling"]!["mscale_all_dim"]!));
        Assert.False(((JsonObject)written["rope_scaling"]!).ContainsKey("attention_factor"));
        Assert.True((bool)written["rope_interleave"]!);
    }

    [Theory]
    [InlineData("q_lora_rank", null)]
    [InlineData("rope_interleave", "false")]
    [InlineData("first_k_dense_replace", "0")]
    [InlineData("first_k_dense_replace", "2")]
    [InlineData("rms_norm_eps", "1e-5")]
    [InlineData("attention_bias", "true")]
    [InlineData("tie_word_embeddings", "true")]
    public void Its_forms_are_written_as_they_are_read(string key, string? value)
    {
        JsonObject config = Config();
        config[key] = value is null ? null : JsonNode.Parse(value);
        Assert.Equal("deepseek_v3", FamilyRegistry.Of(Read(config)).ModelType);
    }

    [Fact]
    public void A_model_of_this_program_is_written_with_a_bias_that_adds_nothing()
    {
        ModelOptions model = Native with { Position = new RotaryOptions { Layout = RotaryLayout.Interleaved } };
        Family family = FamilyRegistry.Of(model);
        Assert.IsType<DeepSeekV3>(family);
        using LanguageModel built = model.Build(40);
        string native = folder.PathOf("ours.safetensors");
        Safetensors.Write(native, built.state_dict().Select(entry => (entry.Key, entry.Value)));
        using WeightFiles weights = WeightFiles.OpenFile(native);
        using Tensor bias = family.Weights(model, 40).Export(weights, ScalarType.Float32).Single(
            tensor => tensor.Name == "model.layers.1.mlp.gate.e_score_correction_bias").Read();
        TensorAssert.Zero(bias);
    }

    [Fact]
    public void What_the_family_lacks_is_named()
    {
        string message = Assert.Throws<UserException>(
            () => FamilyRegistry.Of(Native with { Attention = new LatentOptions { Heads = 4, SoftCap = 30 } })).Message;
        Assert.Contains("nearest is deepseek_v3", message);
        Assert.Contains("attention.softCap is 30; the family has null", message);
        Assert.Contains("attention.normEpsilon is 1E-05; the family has 1E-06", message);
    }

    private static ModelOptions Read(JsonObject content)
    {
        HuggingFaceConfig config = HuggingFaceConfig.Of(content);
        ModelOptions model = new DeepSeekV3().Read(config);
        Assert.Empty(config.Refusals);
        return model;
    }

    private JsonObject Config() => (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(directory, "config.json")))!;

    private string Error() => Assert.Throws<UserException>(() => HuggingFaceImport.Open(directory, _ => { })).Message;

    private void Set(string key, JsonNode? value) => FixtureEdits.Set(directory, key, value);

    private void Yarn(params ReadOnlySpan<(string Key, double? Value)> settings)
    {
        JsonObject section = (JsonObject)Config()["rope_parameters"]!.DeepClone();
        foreach ((string key, double? value) in settings) section[key] = value;
        Set("rope_parameters", section);
    }

    private void AddLayer(int layer) =>
        FixtureEdits.Rewrite(directory, tensors => tensors.Add($"model.layers.{layer}.enorm.weight", ones(32)));
}
