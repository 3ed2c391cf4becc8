using System.Text.Json.Nodes;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Adapters;

/// <summary>Adapters in PEFT's layout, out and in again, and by what PEFT's arithmetic makes of them.</summary>
public sealed class PeftTests : IDisposable
{
    private static readonly LoraOptions Lora = new() { Rank = 2, Alpha = 3, Targets = ["query", "value", "down"] };

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("llama", false)]
    [InlineData("qwen3", true)]
    [InlineData("gpt2", true)]
    [InlineData("bart", false)]
    [InlineData("gpt-neox", false)]
    [InlineData("gpt2", false, "query", "value")]
    [InlineData("gpt2", false, "query", "key", "value", "up")]
    [InlineData("gpt2", true, "query", "key", "value")]
    [InlineData("gpt2", false, "key")]
    [InlineData("gpt-neox", false, "query", "value", "output")]
    [InlineData("bloom", false, "key", "value")]
    public void An_adapter_goes_out_and_comes_back_bit_by_bit(string family, bool decomposed, params string[] names)
    {
        LoraOptions options = Lora with
        {
            WeightDecomposed = decomposed,
            RankStabilized = !decomposed,
            Targets = names.Length > 0 ? names : family is "gpt2" or "gpt-neox" ? ["output", "up", "down"] : Lora.Targets,
            // Embeddings that are the head, too, are refused.
            Train = [family switch
            {
                "gpt2" or "bloom" => "blocks.1.mixerNorm", "bart" => "decoder.blocks.1.mixerNorm", _ => "embedding",
            }],
        };
        Checkpoint adapted = Adapted(family, options);
        string peft = folder.PathOf("peft"), back = folder.PathOf("back");

        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        PeftImport.Run(peft, adapted.Base!.Base, back);

        using DisposeScope scope = NewDisposeScope();
        using WeightFiles before = Open(adapted.Directory), after = Open(back);
        Assert.Equal(before.Names.Order(), after.Names.Order());
        foreach (string name in before.Names) TensorAssert.Same(before.Read(name), after.Read(name), name);
        Checkpoint again = Checkpoint.Open(back);
        Assert.Equal(ConfigurationJson.Serialize<AdapterOptions>(options with { Targets = null }),
            ConfigurationJson.Serialize<AdapterOptions>((LoraOptions)again.Configuration.Adapter! with { Targets = null }));
        Assert.Equal(options.Targets!.Order(), again.Configuration.Adapter!.Targets!.Order());
        Assert.Equal(adapted.Base, again.Base);
    }

    [Theory]
    [InlineData("llama", false)]
    [InlineData("llama", true)]
    [InlineData("gpt2", true)]
    [InlineData("gpt2", false, "query", "value")]
    [InlineData("gpt2", true, "query", "value")]
    [InlineData("gpt2", true, "query", "key", "value", "output")]
    [InlineData("gpt-neox", true, "key", "value", "down")]
    [InlineData("bloom", false, "query", "value")]
    public void PEFTs_arithmetic_on_its_names_makes_the_merged_model(string family, bool decomposed, params string[] names)
    {
        LoraOptions options = Lora with
        {
            WeightDecomposed = decomposed,
            RankStabilized = names.Length == 3,
            Targets = names.Length > 0 ? names : family == "gpt2" ? ["output", "up"] : Lora.Targets,
        };
        Checkpoint adapted = Adapted(family, options);
        string peft = folder.PathOf("peft"), whole = folder.PathOf("whole");
        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        CheckpointExport.HuggingFace(adapted.Directory, whole, ScalarType.Float32, ShardSize.Default);

        using DisposeScope scope = NewDisposeScope();
        JsonNode json = Json(peft);
        double Of(string pattern, string key, string module) => json[pattern]!.AsObject()
            .SingleOrDefault(entry => module.EndsWith($".{entry.Key}")).Value?.GetValue<double>() ?? json[key]!.GetValue<double>();
        bool transposed = json["fan_in_fan_out"]!.GetValue<bool>();
        using SafetensorsFile adapter = SafetensorsFile.Open(Path.Combine(peft, "adapter_model.safetensors"));
        using WeightFiles original = WeightFiles.OpenDirectory(Goldens.PathOf(family)), merged = WeightFiles.OpenDirectory(whole);
        const string A = ".lora_A.weight";
        string[] modules = [.. adapter.Names.Where(name => name.EndsWith(A)).Select(name => name[..^A.Length])];
        foreach (string module in modules)
        {
            string weight = module["base_model.model.".Length..] + ".weight";
            Tensor own = original.Read(original.Names.Contains(weight) ? weight : weight["transformer.".Length..]);
            if (transposed) own = own.t();
            double rank = Of("rank_pattern", "r", module), alpha = Of("alpha_pattern", "lora_alpha", module);
            double scaling = alpha / (options.RankStabilized ? Math.Sqrt(rank) : rank);
            Assert.Equal(rank, adapter.Info($"{module}.lora_A.weight").Shape[0]);
            own = own.add(adapter.Read($"{module}.lora_B.weight").matmul(adapter.Read($"{module}.lora_A.weight")).mul(scaling));
            if (decomposed)
                own = own.mul(adapter.Read($"{module}.lora_magnitude_vector").div(own.norm(1)).unsqueeze(1));
            TensorAssert.Close(transposed ? own.t() : own, merged.Read(weight), 1e-6, weight);
        }
        int fused = options.Targets!.Count(target => target is "query" or "key" or "value");
        bool joined = family is "gpt2" or "gpt-neox" or "bloom" && fused > 0;
        Assert.Equal(2 * (options.Targets!.Count - (joined ? fused - 1 : 0)), modules.Length); // in two layers
        Assert.All(json["target_modules"]!.AsArray(), target => Assert.Contains(modules, module => module.EndsWith($".{target}")));
    }

    [Fact]
    public void Names_and_settings_are_PEFTs()
    {
        Checkpoint adapted = Adapted("llama", Lora with { Train = ["head"], Dropout = 0.1 });
        string peft = folder.PathOf("peft");

        Assert.Equal("llama", CheckpointExport.Peft(adapted.Directory, peft, ScalarType.BFloat16));

        JsonNode json = Json(peft);
        Assert.Equal("""["q_proj","v_proj","down_proj"]""", json["target_modules"]!.ToJsonString());
        Assert.Equal("""["lm_head"]""", json["modules_to_save"]!.ToJsonString());
        Assert.Equal("LORA CAUSAL_LM 2 3 0.1 False False False", string.Join(' ', new[]
            { "peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "fan_in_fan_out" }
            .Select(key => json[key]!.ToString() is var text && bool.TryParse(text, out bool flag) ? flag.ToString() : text)));
        using SafetensorsFile adapter = SafetensorsFile.Open(Path.Combine(peft, "adapter_model.safetensors"));
        Assert.Contains("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", adapter.Names);
        Assert.Contains("base_model.model.lm_head.weight", adapter.Names);
        Assert.Equal(ScalarType.BFloat16, adapter.Info(adapter.Names[0]).Type);
    }

    [Fact]
    public void One_layer_is_named_in_full()
    {
        Checkpoint adapted = Adapted("llama", Lora with { Targets = ["blocks.1.mixer.output"] });
        CheckpointExport.Peft(adapted.Directory, folder.PathOf("peft"), ScalarType.Float32);
        JsonNode json = Json(folder.PathOf("peft"));
        Assert.Equal("""["model.layers.1.self_attn.o_proj"]""", json["target_modules"]!.ToJsonString());
        PeftImport.Run(folder.PathOf("peft"), adapted.Base!.Base, folder.PathOf("back"));
        Assert.Equal(["blocks.1.mixer.output"], Checkpoint.Open(folder.PathOf("back")).Configuration.Adapter!.Targets!);
    }

    [Fact]
    public void Parts_of_a_matrix_there_have_its_rank_together_unless_they_share_an_A()
    {
        Checkpoint adapted = Adapted("gpt2", Lora with { Targets = ["query", "key", "value", "output"] });
        string peft = folder.PathOf("peft");
        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        JsonNode json = Json(peft);
        Assert.Equal("""{"c_attn":6}""", json["rank_pattern"]!.ToJsonString());
        Assert.Equal("""{"c_attn":9}""", json["alpha_pattern"]!.ToJsonString());
        Assert.Equal((2, 3), (json["r"]!.GetValue<int>(), json["lora_alpha"]!.GetValue<int>()));

        // As PEFT has trained it: one A for the three.
        using DisposeScope scope = NewDisposeScope();
        string file = Path.Combine(peft, "adapter_model.safetensors");
        using (SafetensorsFile written = SafetensorsFile.Open(file))
        {
            TensorFile.Save(file + ".new", written.Names.Select(name => (name, name switch
            {
                _ when name.EndsWith("c_attn.lora_A.weight") => randn(2, 32),
                _ when name.EndsWith("c_attn.lora_B.weight") => randn(96, 2),
                _ => written.Read(name),
            })));
        }
        File.Move(file + ".new", file, overwrite: true);
        json["rank_pattern"] = json["alpha_pattern"] = null;
        File.WriteAllText(Path.Combine(peft, "adapter_config.json"), json.ToJsonString());
        PeftImport.Run(peft, adapted.Base!.Base, folder.PathOf("back"));
        CheckpointExport.Peft(folder.PathOf("back"), folder.PathOf("again"), ScalarType.Float32);

        Assert.Equal("{}", Json(folder.PathOf("again"))["rank_pattern"]!.ToJsonString());
        using WeightFiles before = WeightFiles.OpenFile(file);
        using WeightFiles after = WeightFiles.OpenFile(Path.Combine(folder.PathOf("again"), "adapter_model.safetensors"));
        Assert.Equal(before.Names.Order(), after.Names.Order());
        foreach (string name in before.Names) TensorAssert.Same(before.Read(name), after.Read(name), name);
    }

    [Fact]
    public void Adapters_of_experts_have_no_place_there() => Assert.Contains(
        "blocks.0.feedForward.experts.down has no rows of its own in mixtral models",
        Assert.Throws<UserException>(() => CheckpointExport.Peft(
            Adapted("mixtral", Lora with { Targets = ["query", "experts.down"] }).Directory, folder.PathOf("peft"), ScalarType.Float32)).Message);

    [Fact]
    public void Embeddings_that_are_the_head_too_have_no_place_there() => Assert.Contains(
        "which are the head, too, and with PEFT's files the head would be the base's; merge the adapter (convert … --merge-adapter)",
        Assert.Throws<UserException>(() => CheckpointExport.Peft(
            Adapted("gpt2", Lora with { Targets = ["output"], Train = ["embedding"] }).Directory, folder.PathOf("peft"),
            ScalarType.Float32)).Message);

    [Fact]
    public void A_fused_matrix_whose_parts_share_columns_at_a_higher_rank_is_refused()
    {
        Checkpoint adapted = Adapted("gpt2", Lora with { Targets = ["query", "value"] });
        string peft = folder.PathOf("peft"), file = Path.Combine(peft, "adapter_model.safetensors");
        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        using DisposeScope scope = NewDisposeScope();
        using (SafetensorsFile written = SafetensorsFile.Open(file))
            TensorFile.Save(file + ".new", written.Names.Select(
                name => (name, name.Contains("lora_B") ? ones(written.Info(name).Shape.ToArray()) : written.Read(name))));
        File.Move(file + ".new", file, overwrite: true);

        Assert.Contains("transformer.h.0.attn.c_attn has rank 4; all matrices must have one rank", Assert.Throws<UserException>(
            () => PeftImport.Run(peft, adapted.Base!.Base, folder.PathOf("back"))).Message);
    }

    [Theory]
    [InlineData("peft_type", "\"IA3\"", "peft_type is \"IA3\"; LORA can be read")]
    [InlineData("bias", "\"all\"", "bias is \"all\"; adapters with biases cannot be read")]
    [InlineData("init_lora_weights", "\"pissa\"", "init_lora_weights is \"pissa\"; it changes the base's weights, too")]
    [InlineData("alora_invocation_tokens", "[1,2]", "alora_invocation_tokens is [1,2]; adapters that begin within a text cannot be read")]
    [InlineData("rank_pattern", """{"q_proj":4}""", "q_proj has rank 4 and alpha 3; all matrices must have one rank and one alpha")]
    [InlineData("alpha_pattern", """{"model.layers.0.*":4}""", "has rank 2 and alpha 4; all matrices must have one rank and one alpha")]
    [InlineData("alpha_pattern", """{"q_proj":"much"}""", "alpha_pattern.q_proj is \"much\"; expected a number above 0")]
    [InlineData("rank_pattern", """{"(":2}""", "rank_pattern has \"(\", which is no pattern of names that can be read")]
    [InlineData("r", "0", "r is 0; it must be 1 or more")]
    [InlineData("r", "3", "lora_A.weight is [2, 32], and r (3) and the base make it [3, 32]")]
    public void What_cannot_be_read_is_refused_with_the_reason(string key, string value, string message)
    {
        Checkpoint adapted = ExportedWith(key, value);

        Assert.Contains(message, Assert.Throws<UserException>(
            () => PeftImport.Run(folder.PathOf("peft"), adapted.Base!.Base, folder.PathOf("back"))).Message);
        Assert.False(Directory.Exists(folder.PathOf("back")));
    }

    [Theory]
    [InlineData("init_lora_weights", "false")]
    [InlineData("init_lora_weights", "\"gaussian\"")]
    [InlineData("alora_invocation_tokens", "[]")]
    public void Settings_that_leave_the_base_and_the_whole_text_alone_are_read(string key, string value)
    {
        Checkpoint adapted = ExportedWith(key, value);

        PeftImport.Run(folder.PathOf("peft"), adapted.Base!.Base, folder.PathOf("back"));

        Assert.Equal(Lora.Rank, ((LoraOptions)Checkpoint.Open(folder.PathOf("back")).Configuration.Adapter!).Rank);
    }

    [Fact]
    public void A_whole_matrix_of_another_shape_than_the_base_s_is_refused_with_both_shapes()
    {
        Checkpoint adapted = Adapted("llama", Lora with { Train = ["head"] });
        string peft = folder.PathOf("peft"), file = Path.Combine(peft, "adapter_model.safetensors");
        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        using DisposeScope scope = NewDisposeScope();
        using (SafetensorsFile written = SafetensorsFile.Open(file))
            TensorFile.Save(file + ".new", written.Names.Select(
                name => (name, name.EndsWith("lm_head.weight") ? zeros(41, 32) : written.Read(name))));
        File.Move(file + ".new", file, overwrite: true);

        Assert.Contains("base_model.model.lm_head.weight is [41, 32], and the base makes it [40, 32]; give the base that it was trained on",
            Assert.Throws<UserException>(() => PeftImport.Run(peft, adapted.Base!.Base, folder.PathOf("back"))).Message);
        Assert.False(Directory.Exists(folder.PathOf("back")));
    }

    [Fact]
    public void An_adapter_of_another_model_has_no_place()
    {
        Checkpoint adapted = Adapted("llama", Lora);
        CheckpointExport.Peft(adapted.Directory, folder.PathOf("peft"), ScalarType.Float32);
        HuggingFaceImport.Run(Goldens.PathOf("gpt2"), folder.PathOf("other"), _ => { });
        Assert.Contains("has no place in the base", Assert.Throws<UserException>(
            () => PeftImport.Run(folder.PathOf("peft"), folder.PathOf("other"), folder.PathOf("back"))).Message);
        Assert.Contains("holds a whole model and no adapter", Assert.Throws<UserException>(
            () => CheckpointExport.Peft(folder.PathOf("other"), folder.PathOf("x"), ScalarType.Float32)).Message);
    }

    // An adapter of a llama in PEFT's files, with one setting changed.
    private Checkpoint ExportedWith(string key, string value)
    {
        Checkpoint adapted = Adapted("llama", Lora);
        string peft = folder.PathOf("peft");
        CheckpointExport.Peft(adapted.Directory, peft, ScalarType.Float32);
        JsonNode json = Json(peft);
        json[key] = JsonNode.Parse(value);
        File.WriteAllText(Path.Combine(peft, "adapter_config.json"), json.ToJsonString());
        return adapted;
    }

    // An adapter of random numbers on an imported model.
    private Checkpoint Adapted(string family, LoraOptions options)
    {
        HuggingFaceImport.Run(Goldens.PathOf(family), folder.PathOf("base"), _ => { });
        Checkpoint original = Checkpoint.Open(folder.PathOf("base"));
        using LanguageModel model = original.LoadModel(CPU);
        manual_seed(2);
        model.Attach(options);
        using (no_grad())
            foreach (Parameter value in model.parameters().Where(parameter => parameter.requires_grad))
                value.add_(randn_like(value).mul(0.1));
        JsonObject recipe = CheckpointConfiguration.ReadJson(Path.Combine(original.Directory, CheckpointFiles.Configuration));
        recipe["adapter"] = ConfigurationJson.ToNode<AdapterOptions>(options);
        CheckpointDirectory.Write(folder.PathOf("adapted"),
        [
            new(CheckpointFiles.Model, path => TensorFile.Save(path, ModelWeights.Of(model))),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, recipe.ToJsonString())),
            new(CheckpointFiles.Tokenizer, original.Tokenizer.Save),
            AdapterBase.Of(original).ToFile(),
        ]);
        return Checkpoint.Open(folder.PathOf("adapted"));
    }

    private static JsonNode Json(string peft) => JsonNode.Parse(File.ReadAllText(Path.Combine(peft, "adapter_config.json")))!;

    private static WeightFiles Open(string directory) => WeightFiles.OpenFile(Path.Combine(directory, CheckpointFiles.Model));
}
