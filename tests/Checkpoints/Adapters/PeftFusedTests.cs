using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Adapters;

/// <summary>Adapters of PEFT over matrices that are fused in their family, against its arithmetic in PyTorch (Fixtures/make_peft.py).
/// </summary>
public sealed class PeftFusedTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("gpt2-lora", "query key value down")]
    [InlineData("gpt2-dora", "query key value")]
    [InlineData("gpt-neox-rslora", "query key value")]
    [InlineData("bloom-dora", "query key value")]
    public void Logits_with_an_imported_adapter_are_PEFTs(string name, string targets)
    {
        JsonNode fixture = Unpack(name);
        Assert.Equal(2 * targets.Split(' ').Length, PeftImport.Run(folder.PathOf("peft"), folder.PathOf("base"), folder.PathOf("adapted")));

        Checkpoint adapted = Checkpoint.Open(folder.PathOf("adapted"));
        Assert.Equal(targets.Split(' ').Order(), adapted.Configuration.Adapter!.Targets!.Order());
        using DisposeScope scope = NewDisposeScope();
        TensorAssert.Close(Expected(fixture), Logits(adapted.LoadModel(CPU), fixture, adapters: null), 2e-5, name);
    }

    [Theory]
    [InlineData("gpt2-lora")]
    [InlineData("gpt2-dora")]
    [InlineData("gpt-neox-rslora")]
    public void Beside_a_loaded_base_they_are_the_same(string name)
    {
        JsonNode fixture = Unpack(name);
        Checkpoint original = Checkpoint.Open(folder.PathOf("base"));
        LanguageModel model = original.LoadModel(CPU);
        AdapterSource.Open(folder.PathOf("peft"), original).AddTo(model, "adapted");
        using DisposeScope scope = NewDisposeScope();
        TensorAssert.Close(Expected(fixture), Logits(model, fixture, ["adapted"]), 2e-5, name);
    }

    [Theory]
    [InlineData("h.0.attn.c_attn.lora_B.weight", "c_attn.lora_B.weight is [32, 2], and r (2) and the base make it [96, 2]")]
    [InlineData("wte.lora_embedding_A", "base_model.model.transformer.wte.lora_embedding_A is no part of a whole adapter of a linear layer")]
    [InlineData("wte.lora_embedding_B", "base_model.model.transformer.wte.lora_embedding_B is no part of a whole adapter of a linear layer")]
    public void Rows_that_are_too_few_and_adapters_of_embeddings_are_refused(string name, string message)
    {
        Unpack("gpt2-lora", tensors => tensors[$"base_model.model.transformer.{name}"] = new JsonObject
        {
            ["shape"] = new JsonArray(32L, 2L), ["data"] = new JsonArray([.. Enumerable.Range(0, 64).Select(_ => (JsonNode)0.5f)]),
        });
        Assert.Contains(message, Assert.Throws<UserException>(
            () => PeftImport.Run(folder.PathOf("peft"), folder.PathOf("base"), folder.PathOf("adapted"))).Message);
    }

    private static Tensor Expected(JsonNode fixture) => tensor(
        [.. fixture["logits"]!.AsArray().SelectMany(row => row!.AsArray()).Select(number => number!.GetValue<float>())],
        [1, fixture["logits"]!.AsArray().Count, fixture["logits"]![0]!.AsArray().Count]);

    private static Tensor Logits(LanguageModel model, JsonNode fixture, string?[]? adapters)
    {
        using LanguageModel owned = model;
        using IDisposable quiet = no_grad();
        long[] ids = [.. fixture["input_ids"]!.AsArray().Select(id => id!.GetValue<long>())];
        using Models.Adapters.AdapterRows? rows = adapters is null ? null : Models.Adapters.AdapterRows.Of(model, adapters);
        return model.call(new ModelInput(tensor(ids, [1, ids.Length])) { Adapters = rows });
    }

    // The base here, and PEFT's directory.
    private JsonNode Unpack(string name, Action<JsonObject>? change = null)
    {
        JsonNode fixture = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "peft", $"{name}.json")))!;
        HuggingFaceImport.Run(Goldens.PathOf(fixture["family"]!.GetValue<string>()), folder.PathOf("base"), _ => { });
        string peft = Directory.CreateDirectory(folder.PathOf("peft")).FullName;
        File.WriteAllText(Path.Combine(peft, "adapter_config.json"), fixture["adapter_config"]!.ToJsonString());
        JsonObject tensors = fixture["tensors"]!.AsObject();
        change?.Invoke(tensors);
        using DisposeScope scope = NewDisposeScope();
        Safetensors.Write(Path.Combine(peft, "adapter_model.safetensors"), tensors.Select(entry => (entry.Key, tensor(
            [.. entry.Value!["data"]!.AsArray().Select(number => number!.GetValue<float>())],
            [.. entry.Value["shape"]!.AsArray().Select(extent => extent!.GetValue<long>())]))));
        return fixture;
    }
}
