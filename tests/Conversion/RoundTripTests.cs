using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Conversion.HuggingFace;
using Trainer.Conversion.Weights;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Conversion.Tests;

/// <summary>What was imported is exported with the same names and bits.</summary>
public sealed class RoundTripTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string> Fixtures { get; } = [.. Goldens.Importable];

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void Every_tensor_comes_back_bit_by_bit(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        string output = folder.PathOf("out");
        ImportAndExport(name, output, ScalarType.Float32);
        using WeightFiles before = WeightFiles.OpenDirectory(Goldens.PathOf(name)), after = WeightFiles.OpenDirectory(output);
        Assert.Equal(before.Names.Order(), after.Names.Order());
        foreach (string tensor in before.Names.Where(tensor => !Goldens.IsFolded(tensor)))
            Assert.True(before.Read(tensor).Equals(after.Read(tensor)), tensor);
    }

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void Every_setting_that_was_read_is_written_again(string name)
    {
        string output = folder.PathOf("out");
        ImportAndExport(name, output, ScalarType.Float32);
        using HuggingFaceModel before = Goldens.Open(name), after = HuggingFaceModel.Open(output, line => Assert.DoesNotContain("left aside", line));
        Assert.Equal(before.Family, after.Family);
        Assert.Empty(HuggingFace.Families.CanonicalModel.Differences(before.Options, after.Options));
        Assert.Equal(before.Tokenizer.ToJson().ToJsonString(), after.Tokenizer.ToJson().ToJsonString());
        Assert.Equal(
            JsonNode.Parse(File.ReadAllText(Path.Combine(Goldens.PathOf(name), "config.json")))!["eos_token_id"]?.ToJsonString(),
            JsonNode.Parse(File.ReadAllText(Path.Combine(output, "config.json")))!["eos_token_id"]?.ToJsonString());
    }

    [Theory]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    public void Half_precision_is_read_back_as_it_was_rounded(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        string output = folder.PathOf("out");
        ImportAndExport("llama", output, type);
        using WeightFiles exact = WeightFiles.OpenDirectory(Goldens.PathOf("llama")), rounded = WeightFiles.OpenDirectory(output);
        using HuggingFaceModel model = HuggingFaceModel.Open(output, _ => { });
        Tensor embedding = model.Weights.Single(weight => weight.Name == "embedding.weight").Read();
        Assert.Equal(type, rounded.Info("model.embed_tokens.weight").Type);
        Assert.Equal(ScalarType.Float32, embedding.dtype);
        Assert.True(exact.Read("model.embed_tokens.weight").to_type(type).to_type(ScalarType.Float32).Equals(embedding));
    }

    [Fact]
    public void Shards_are_read_as_one_file_is()
    {
        using DisposeScope scope = NewDisposeScope();
        string sharded = folder.Copy("llama");
        Shard(sharded);
        using HuggingFaceModel one = Goldens.Open("llama"), many = HuggingFaceModel.Open(sharded, _ => { });
        foreach (var (expected, actual) in one.Weights.Zip(many.Weights))
            Assert.True(expected.Read().Equals(actual.Read()), expected.Name);
    }

    /// <summary>Splits a checkpoint into two files and their index.</summary>
    internal static void Shard(string directory)
    {
        string single = Path.Combine(directory, WeightFiles.Single);
        using (SafetensorsFile whole = SafetensorsFile.Open(single))
        {
            JsonObject map = [];
            foreach (var (names, index) in whole.Names.Chunk((whole.Names.Count + 1) / 2).Select((names, index) => (names, index + 1)))
            {
                string shard = $"model-0000{index}-of-00002.safetensors";
                Safetensors.Write(Path.Combine(directory, shard), [.. names.Select(name => (name, whole.Read(name)))]);
                foreach (string name in names) map[name] = shard;
            }
            File.WriteAllText(Path.Combine(directory, WeightFiles.Index), new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map }.ToJsonString());
        }
        File.Delete(single);
    }

    private void ImportAndExport(string name, string output, ScalarType type)
    {
        string ours = folder.PathOf("ours.safetensors");
        using HuggingFaceModel source = Goldens.Open(name);
        Safetensors.Write(ours, source.Weights);
        using WeightFiles weights = WeightFiles.OpenFile(ours);
        HuggingFaceExport.Write(new(name, source.Options, source.Tokenizer, weights, source.Companions), output, type);
    }
}
