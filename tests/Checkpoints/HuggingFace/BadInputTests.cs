using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

/// <summary>What is wrong with a checkpoint is said, with what was found and what to do.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string directory;

    public BadInputTests() => directory = folder.Copy("llama");

    public void Dispose() => folder.Dispose();

    [Fact]
    public void An_unknown_family_names_those_that_are_known()
    {
        Set("model_type", "rwkv");
        Assert.StartsWith($"{Config}: model_type is \"rwkv\"; this program knows llama, mistral, qwen2", Error());
    }

    [Fact]
    public void Settings_that_cannot_be_expressed_are_named_all_at_once()
    {
        Set("partial_rotary_factor", 0.5);
        Set("hidden_act", "gelu");
        Set("rope_parameters", new JsonObject { ["rope_type"] = "longrope" });
        string error = Error();
        Assert.StartsWith($"{Config}: this program has no such model:\n", error);
        Assert.Contains("\n  partial_rotary_factor must be 1: ", error);
        Assert.Contains("\n  hidden_act is \"gelu\"; this program knows silu, swish", error);
        Assert.Contains("\n  rope_parameters.rope_type is \"longrope\"; this program knows default, linear, dynamic, yarn, llama3", error);
    }

    [Theory]
    [InlineData("hidden_size", null, "hidden_size is missing; a whole number is needed")]
    [InlineData("hidden_size", "\"wide\"", "hidden_size is \"wide\"; a whole number is needed")]
    [InlineData("rms_norm_eps", "\"small\"", "rms_norm_eps is \"small\"; a number is needed")]
    [InlineData("tie_word_embeddings", "1", "tie_word_embeddings is 1; true or false is needed")]
    public void A_setting_of_another_kind_is_named(string key, string? value, string message)
    {
        Set(key, value is null ? null : JsonNode.Parse(value));
        Assert.Contains($"\n  {message}", Error());
    }

    [Theory]
    [InlineData("config.json", """{"model_type":"llama","model_type":"gpt2"}""")]
    [InlineData("tokenizer_config.json", """{"bos_token":"<s>","bos_token":"</s>"}""")]
    public void A_key_that_stands_twice_is_refused_with_the_name_of_its_file(string file, string text)
    {
        string path = Path.Combine(directory, file);
        File.WriteAllText(path, text);
        Assert.StartsWith($"{path}: it is no valid JSON (", Error());
    }

    [Fact]
    public void A_setting_nobody_knows_is_mentioned_but_no_error()
    {
        Set("shiny_new_thing", 3);
        List<string> warnings = [];
        HuggingFaceImport.Open(directory, warnings.Add).Dispose();
        Assert.Contains($"{Config}: not known in llama models and left aside: shiny_new_thing", warnings);
    }

    [Fact]
    public void A_model_that_cannot_be_is_refused_before_its_weights_are_looked_at()
    {
        Set("num_key_value_heads", 3);
        Set("rope_parameters", new JsonObject { ["rope_type"] = "linear", ["factor"] = 0.5 });
        Assert.Equal(
            $"""
            {Config}: no such model can be built:
              model.attention.keyValueHeads: heads (4) must be a multiple of keyValueHeads (3); try 1, 2 or 4
              model.position.scaling.factor: factor (0.5) is the target length over the original length; use 1 or more
            """, Error());
    }

    [Fact]
    public void Missing_and_extra_tensors_and_wrong_shapes_are_listed()
    {
        FixtureEdits.Rewrite(directory, tensors =>
        {
            tensors.Remove("model.norm.weight");
            tensors["model.norm.bias"] = zeros(32);
            tensors["lm_head.weight"] = zeros(40, 31);
        });
        string path = Path.Combine(directory, WeightFiles.Single);
        Assert.Equal(
            $"""
            {path}: its tensors do not fit its configuration:
              model.norm.weight [32] is missing
              lm_head.weight is [40, 31], and the configuration makes it [40, 32]
              model.norm.bias [32] has no place in the model
            """, Error());
    }

    [Fact]
    public void Whole_numbers_are_no_weights()
    {
        FixtureEdits.Rewrite(directory, tensors => tensors["model.norm.weight"] = zeros(32).to_type(ScalarType.Int64));
        Assert.Contains("model.norm.weight holds Int64; float32, float16 and bfloat16 can be read", Error());
    }

    [Fact]
    public void A_truncated_shard_is_named()
    {
        RoundTripTests.Shard(directory);
        string shard = Path.Combine(directory, "model-00002-of-00002.safetensors");
        using (FileStream file = File.OpenWrite(shard)) file.SetLength(file.Length - 100);
        Assert.StartsWith($"{shard}: it cannot be read: {shard} is not a whole safetensors file: its tensors need", Error());
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        RoundTripTests.Shard(directory);
        string shard = Path.Combine(directory, "model-00001-of-00002.safetensors");
        File.Delete(shard);
        Assert.Equal($"{shard}: it is missing, and the model is not whole without it; download the checkpoint again", Error());
    }

    [Fact]
    public void A_tensor_that_is_not_in_its_shard_is_named()
    {
        RoundTripTests.Shard(directory);
        string index = Path.Combine(directory, WeightFiles.Index);
        JsonNode content = JsonNode.Parse(File.ReadAllText(index))!;
        content["weight_map"]!["model.embed_tokens.weight"] = "model-00002-of-00002.safetensors";
        File.WriteAllText(index, content.ToJsonString());
        Assert.Equal($"{index}: it places model.embed_tokens.weight in model-00002-of-00002.safetensors, which does not hold it; " +
            "download the checkpoint again", Error());
    }

    [Fact]
    public void An_index_may_not_lead_out_of_its_directory()
    {
        File.WriteAllText(Path.Combine(directory, WeightFiles.Index), """{"weight_map":{"a":"../secret.safetensors"}}""");
        Assert.Contains("weight_map names the shard \"../secret.safetensors\", which must be a file beside it", Error());
    }

    [Fact]
    public void Pickles_are_refused()
    {
        File.Move(Path.Combine(directory, WeightFiles.Single), Path.Combine(directory, "pytorch_model.bin"));
        Assert.StartsWith($"{directory}: its weights are pickles (.bin), which can run code when they are read", Error());
    }

    [Fact]
    public void A_tokenizer_larger_than_the_model_is_refused()
    {
        Set("vocab_size", 39);
        JsonObject tokens = [];
        for (int id = 0; id < 40; id++) tokens[$"t{id}"] = id;
        File.WriteAllText(Path.Combine(directory, "tokenizer.json"),
            new JsonObject { ["version"] = "1.0", ["pre_tokenizer"] = new JsonObject { ["type"] = "WhitespaceSplit" },
                ["model"] = new JsonObject { ["type"] = "WordLevel", ["vocab"] = tokens, ["unk_token"] = "t0" } }.ToJsonString());
        Assert.EndsWith("it has 40 tokens, and the model only 39 (vocab_size); they do not belong together", Error());
    }

    [Fact]
    public void An_older_tokenizer_alone_is_refused_with_the_way_out()
    {
        File.WriteAllText(Path.Combine(directory, "tokenizer.model"), "");
        Assert.Contains("it is missing, and tokenizer.model is of an older kind; write it with transformers", Error());
    }

    private string Config => Path.Combine(directory, "config.json");

    private string Error() => Assert.Throws<UserException>(() => HuggingFaceImport.Open(directory, _ => { })).Message;

    private void Set(string key, JsonNode? value) => FixtureEdits.Set(directory, key, value);
}
