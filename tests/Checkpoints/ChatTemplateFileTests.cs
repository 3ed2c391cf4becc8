using System.Text.Json.Nodes;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Tests.Gguf;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

/// <summary>Chat templates go with a checkpoint wherever it goes.</summary>
public sealed class ChatTemplateFileTests : IDisposable
{
    private const string Template = "{{ bos_token }}{% for message in messages %}\n{{ message.content + \"é\" }}{% endfor %}";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_is_imported_converted_and_exported()
    {
        string source = Source(("tokenizer_config.json", new()
        {
            ["bos_token"] = "<s>", ["eos_token"] = new JsonObject { ["content"] = "</s>", ["lstrip"] = false }, ["chat_template"] = Template,
        }));
        ChatTemplateFile expected = new(Template, "<s>", "</s>");
        string converted = ImportAndConvert(source), exported = folder.PathOf("exported"), gguf = folder.PathOf("model.gguf");
        foreach (string checkpoint in new[] { folder.PathOf("imported"), converted })
        {
            Assert.Equal(expected, ChatTemplateFile.In(checkpoint));
            Assert.Contains("chat_template.json", Checkpoint.Open(checkpoint).Manifest.Files.Keys);
            Assert.Equal(["template", "bosToken", "eosToken"], Json(checkpoint, "chat_template.json").Select(entry => entry.Key));
        }

        CheckpointExport.HuggingFace(converted, exported, ScalarType.Float32, ShardSize.Default);
        Assert.Equal(expected, ChatTemplateFile.In(exported));
        Assert.True(JsonNode.DeepEquals(Json(source, "tokenizer_config.json"), Json(exported, "tokenizer_config.json")));
        Assert.False(File.Exists(Path.Combine(exported, "chat_template.json"))); // transformers has another content there

        CheckpointExport.Gguf(converted, gguf, GgufType.F32);
        Assert.Equal(Template, new GgufReader(File.ReadAllBytes(gguf)).Metadata["tokenizer.chat_template"]);
    }

    [Fact]
    public void A_checkpoint_without_one_stays_without()
    {
        string converted = ImportAndConvert(Source(("tokenizer_config.json", new() { ["bos_token"] = "<s>" })));
        string exported = folder.PathOf("exported"), gguf = folder.PathOf("model.gguf");
        CheckpointExport.HuggingFace(converted, exported, ScalarType.Float32, ShardSize.Default);
        CheckpointExport.Gguf(converted, gguf, GgufType.F32);
        Assert.Null(ChatTemplateFile.In(converted));
        Assert.DoesNotContain("chat_template.json", Checkpoint.Open(converted).Manifest.Files.Keys);
        Assert.False(Json(exported, "tokenizer_config.json").ContainsKey("chat_template"));
        Assert.False(new GgufReader(File.ReadAllBytes(gguf)).Metadata.ContainsKey("tokenizer.chat_template"));
    }

    [Fact]
    public void A_template_in_a_file_of_its_own_comes_first_and_is_exported_as_the_one_of_the_tokenizer()
    {
        string source = Source(
            ("tokenizer_config.json", new() { ["chat_template"] = "older" }),
            ("special_tokens_map.json", new() { ["bos_token"] = "<s>", ["eos_token"] = null }));
        File.WriteAllText(Path.Combine(source, "chat_template.jinja"), Template);
        string converted = ImportAndConvert(source), exported = folder.PathOf("exported");
        CheckpointExport.HuggingFace(converted, exported, ScalarType.Float32, ShardSize.Default);
        Assert.Equal(new(Template, "<s>", null), ChatTemplateFile.In(converted));
        Assert.Equal(Template, (string?)Json(exported, "tokenizer_config.json")["chat_template"]);
        Assert.Equal("<s>", (string?)Json(exported, "tokenizer_config.json")["bos_token"]);
    }

    [Fact]
    public void Of_several_the_default_is_taken_and_all_are_exported()
    {
        JsonArray several =
        [
            new JsonObject { ["name"] = "tool_use", ["template"] = "tools" }, new JsonObject { ["name"] = "default", ["template"] = Template },
        ];
        string converted = ImportAndConvert(Source(("tokenizer_config.json", new() { ["chat_template"] = several })));
        string exported = folder.PathOf("exported");
        CheckpointExport.HuggingFace(converted, exported, ScalarType.Float32, ShardSize.Default);
        Assert.Equal(new(Template, null, null), ChatTemplateFile.In(converted));
        Assert.True(JsonNode.DeepEquals(several, Json(exported, "tokenizer_config.json")["chat_template"]));
    }

    [Fact]
    public void The_file_of_the_same_name_of_transformers_is_read()
    {
        string converted = ImportAndConvert(Source(("chat_template.json", new() { ["chat_template"] = Template })));
        Assert.Equal(new(Template, null, null), ChatTemplateFile.In(converted));
        Assert.Equal(Template, (string?)Json(converted, "chat_template.json")["template"]);
    }

    [Fact]
    public void One_that_is_put_beside_a_trained_model_is_exported()
    {
        string converted = ImportAndConvert(Source()), exported = folder.PathOf("exported");
        File.WriteAllText(
            Path.Combine(converted, "chat_template.json"),
            new JsonObject { ["template"] = Template, ["bosToken"] = "a", ["eosToken"] = "b" }.ToJsonString());
        CheckpointExport.HuggingFace(converted, exported, ScalarType.Float32, ShardSize.Default);
        JsonObject config = Json(exported, "tokenizer_config.json");
        Assert.Equal(Template, (string?)config["chat_template"]);
        // The tokens that the model ends with are known already, from config.json.
        Assert.Equal(("a", "b"), ((string?)config["bos_token"], (string?)config["eos_token"]));
    }

    [Fact]
    public void A_file_that_is_no_JSON_is_refused()
    {
        string source = Source();
        File.WriteAllText(Path.Combine(source, "chat_template.json"), "{");
        Assert.Contains("chat_template.json: it is no valid JSON", Assert.Throws<UserException>(() => ChatTemplateFile.In(source)).Message);
    }

    private static JsonObject Json(string directory, string name) =>
        (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(directory, name)))!;

    private string Source(params (string Name, JsonObject Content)[] companions)
    {
        string source = folder.Copy("llama");
        File.WriteAllText(Path.Combine(source, "tokenizer.json"), """
            {"version":"1.0","added_tokens":[{"id":0,"content":"<|end|>","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}],
             "normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},"post_processor":null,
             "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
             "model":{"type":"BPE","unk_token":null,"vocab":{"a":1,"b":2,"c":3,"ab":4,"abc":5},"merges":["a b","ab c"]}}
            """);
        foreach ((string name, JsonObject content) in companions) File.WriteAllText(Path.Combine(source, name), content.ToJsonString());
        return source;
    }

    private string ImportAndConvert(string source)
    {
        string imported = folder.PathOf("imported"), converted = folder.PathOf("converted");
        HuggingFaceImport.Run(source, imported, _ => { });
        CheckpointConversion.Run(Checkpoint.Open(imported), converted, new() { KeyValueHeads = 1 });
        return converted;
    }
}
