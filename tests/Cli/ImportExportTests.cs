using System.Text.Json.Nodes;

namespace Trainer.Cli.Tests;

/// <summary><c>import</c> and <c>export</c> as a user runs them.</summary>
public sealed class ImportExportTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void A_checkpoint_comes_in_and_goes_out_in_shards()
    {
        Fixture("llama", "theirs");
        Assert.Contains("ours: llama, ", workspace.Succeeds("import", "theirs", "--output", "ours").Output, StringComparison.Ordinal);
        Assert.Contains("back: written as llama, f32",
            workspace.Succeeds("export", "ours", "--format", "huggingface", "--output", "back", "--max-shard-size", "20KB").Output,
            StringComparison.Ordinal);
        Assert.True(File.Exists(workspace.PathOf("back/model-00001-of-00004.safetensors")),
            string.Join(' ', Directory.EnumerateFiles(workspace.PathOf("back"))));
        Assert.True(File.Exists(workspace.PathOf("back/model.safetensors.index.json")));
        workspace.Succeeds("import", "back", "--output", "again");
        Assert.Equal(File.ReadAllBytes(workspace.PathOf("ours/model.safetensors")),
            File.ReadAllBytes(workspace.PathOf("again/model.safetensors")));
    }

    [Fact]
    public void DeepSeek_comes_in_is_evaluated_and_goes_out()
    {
        Fixture("deepseek-v3", "deepseek");
        workspace.Succeeds("import", "deepseek", "--output", "latent");
        Assert.Contains("<8>", workspace.Succeeds("score", "latent", "--tokens", "5,6,7,8").Output, StringComparison.Ordinal);
        workspace.Succeeds("export", "latent", "--format", "huggingface", "--output", "deepseek-back");
        Fails(1, "GGUF is written for llama, mistral, mixtral, qwen2, qwen3, gpt2, and this model is of the family deepseek_v3; use " +
            "--format huggingface", "export", "latent", "--format", "gguf", "--output", "x.gguf");
    }

    [Fact]
    public void A_GGUF_is_written_to_a_folder_that_is_not_there()
    {
        workspace.Succeeds("import", Fixture("llama", "for-gguf"), "--output", "for-gguf-ours");
        workspace.Succeeds("export", "for-gguf-ours", "--format", "gguf", "--output", "gguf/m.gguf");
        Assert.Equal(["m.gguf"], Directory.EnumerateFiles(workspace.PathOf("gguf")).Select(Path.GetFileName));
        Fails(1, "llama.cpp knows tokenizers of byte-pair encoding", "export", "run", "--format", "gguf", "--output", "other/m.gguf",
            "--type", "q4_0");
    }

    [Theory]
    [InlineData("model_type", "\"rwkv\"", "config.json: model_type is \"rwkv\"; this program knows llama, mistral")]
    [InlineData("num_hidden_layers", "3",
        "model.safetensors: its tensors do not fit its configuration:\n  model.layers.2.input_layernorm.weight [32] is missing")]
    [InlineData("num_hidden_layers", "1", "model.layers.1.input_layernorm.weight [32] has no place in the model")]
    [InlineData("intermediate_size", "40", "model.layers.0.mlp.gate_proj.weight is [48, 32], and the configuration makes it [40, 32]")]
    [InlineData("num_key_value_heads", "3",
        "config.json: no such model can be built:\n  model.attention.keyValueHeads: heads (4) must be a multiple of keyValueHeads (3)")]
    [InlineData("rope_parameters", """{"rope_type":"linear","factor":0.5}""", "model.position.scaling.factor: factor (0.5) is the target length over the original length; use 1 or more")]
    public void What_cannot_be_imported_is_refused_with_the_reason(string key, string value, string message)
    {
        string source = Fixture("llama", $"bad-{Guid.NewGuid():N}"), config = workspace.PathOf($"{source}/config.json");
        JsonNode content = JsonNode.Parse(File.ReadAllText(config))!;
        content[key] = JsonNode.Parse(value);
        File.WriteAllText(config, content.ToJsonString());
        Fails(1, message, "import", source, "--output", $"{source}-ours");
        Assert.False(Directory.Exists(workspace.PathOf($"{source}-ours")));
    }

    [Fact]
    public void A_truncated_shard_a_missing_one_and_no_checkpoint_at_all_are_named()
    {
        Fixture("llama", "whole");
        workspace.Succeeds("import", "whole", "--output", "whole-ours");
        workspace.Succeeds("export", "whole-ours", "--format", "huggingface", "--output", "broken", "--max-shard-size", "20KB");
        string shard = workspace.PathOf("broken/model-00002-of-00004.safetensors");
        File.WriteAllBytes(shard, File.ReadAllBytes(shard)[..^10]);
        Fails(1, "model-00002-of-00004.safetensors: it cannot be read", "import", "broken", "--output", "x");
        File.Delete(shard);
        Fails(1, "model-00002-of-00004.safetensors: it is missing, and the model is not whole without it", "import", "broken", "--output",
            "x");
        Fails(1, "nowhere: there is no such directory", "import", "nowhere", "--output", "x");
        Fails(1, "whole-ours: something is there already; remove it or choose another --output", "import", "whole", "--output",
            "whole-ours");
        Fails(2, "--output", "import", "whole");
        Assert.False(Directory.Exists(workspace.PathOf("x")));
    }

    [Theory]
    [InlineData("--max-shard-size is '5'; use a number and KB, MB, GB or TB, such as 500MB or 5GB.", "huggingface", "--max-shard-size",
        "5")]
    [InlineData("--max-shard-size splits safetensors, and a GGUF is one file", "gguf", "--max-shard-size", "5GB")]
    [InlineData("--type is q8_0, which Hugging Face checkpoints do not have", "huggingface", "--type", "q8_0")]
    [InlineData("'onnx' not recognized", "onnx")]
    public void What_no_export_can_be_is_refused(string message, string format, params string[] arguments) =>
        Fails(2, message, ["export", "run", "--output", "refused", "--format", format, .. arguments]);

    [Fact]
    public void What_is_not_there_taken_or_damaged_is_neither_exported_nor_converted()
    {
        Fails(1, "nowhere: there is no such checkpoint or run directory", "export", "nowhere", "--format", "huggingface", "--output", "x");
        Fails(1, "run: something is there already; remove it or choose another --output", "export", "run", "--format", "huggingface",
            "--output", "run");
        workspace.Succeeds("convert", "run", "--output", "damaged", "--key-value-heads", "1");
        string weights = workspace.PathOf("damaged/model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^10]);
        Fails(1, "model.safetensors: it has", "export", "damaged", "--format", "huggingface", "--output", "x");
        Fails(1, "model.safetensors: it has", "convert", "damaged", "--output", "x", "--rope-scaling", "yarn", "--factor", "2");
        Assert.False(Directory.Exists(workspace.PathOf("x")));
    }

    [Fact]
    public void Of_a_model_that_no_family_has_the_nearest_is_named()
    {
        workspace.Succeeds("train", "small.json", "--run", "sandwich", "--set", "training.steps=1", "model.norm.placement=sandwich");
        Fails(1, "nearest is llama, but for:\n  model.norm.placement is \"sandwich\"; the family has \"pre\"", "export", "sandwich",
            "--format", "huggingface", "--output", "x");
    }

    private string Fixture(string name, string folder)
    {
        Directory.CreateDirectory(workspace.PathOf(folder));
        foreach (string file in (string[])["config.json", "model.safetensors"])
            File.Copy(Path.Combine(Command.Repository, "tests/Checkpoints/Fixtures", name, file), workspace.PathOf($"{folder}/{file}"));
        return folder;
    }

    private void Fails(int exitCode, string part, params string[] arguments) =>
        BadInputTests.Fails(workspace.Run(arguments), exitCode, part);
}
