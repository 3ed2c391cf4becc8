using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

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
            TensorAssert.Same(before.Read(tensor), after.Read(tensor), tensor);
    }

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void Every_setting_that_was_read_is_written_again(string name)
    {
        string output = folder.PathOf("out");
        ImportAndExport(name, output, ScalarType.Float32);
        using HuggingFaceImport before = Goldens.Open(name), after = HuggingFaceImport.Open(
            output, line => Assert.DoesNotContain("left aside", line));
        Assert.Equal(before.Family, after.Family);
        Assert.Empty(CanonicalModel.Differences(before.Options, after.Options));
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
        using HuggingFaceImport model = HuggingFaceImport.Open(output, _ => { });
        Tensor embedding = model.Weights.Single(weight => weight.Name == "embedding.weight").Read();
        Assert.Equal(type, rounded.Info("model.embed_tokens.weight").Type);
        Assert.Equal(ScalarType.Float32, embedding.dtype);
        TensorAssert.Same(exact.Read("model.embed_tokens.weight").to_type(type).to_type(ScalarType.Float32), embedding);
    }

    [Fact]
    public void Shards_are_read_as_one_file_is()
    {
        using DisposeScope scope = NewDisposeScope();
        string sharded = folder.Copy("llama");
        Shard(sharded);
        using HuggingFaceImport one = Goldens.Open("llama"), many = HuggingFaceImport.Open(sharded, _ => { });
        foreach (var (expected, actual) in one.Weights.Zip(many.Weights))
            TensorAssert.Same(expected.Read(), actual.Read(), expected.Name);
    }

    [Theory]
    [InlineData("0.004KB", 21)] // no tensor fits: each has a file
    [InlineData("10KB", 0)]
    public void Shards_hold_no_more_than_they_may_and_come_back_bit_by_bit(string text, int files)
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.True(ShardSize.TryParse(text, out ShardSize size));
        string output = folder.PathOf("out");
        ImportAndExport("llama", output, ScalarType.Float32, size);
        using WeightFiles before = WeightFiles.OpenDirectory(Goldens.PathOf("llama")), after = WeightFiles.OpenDirectory(output);
        foreach (string tensor in before.Names) TensorAssert.Same(before.Read(tensor), after.Read(tensor), tensor);

        JsonNode index = JsonNode.Parse(File.ReadAllText(Path.Combine(output, WeightFiles.Index)))!;
        Assert.Equal(before.Names.Sum(name => before.Info(name).Length), (long)index["metadata"]!["total_size"]!);
        string[] shards = [.. ((JsonObject)index["weight_map"]!).Select(entry => (string)entry.Value!).Distinct().Order()];
        Assert.Equal(
            Enumerable.Range(1, shards.Length).Select(shard => $"model-{shard:00000}-of-{shards.Length:00000}.safetensors"), shards);
        if (files > 0) Assert.Equal(files, shards.Length);
        Assert.False(File.Exists(Path.Combine(output, WeightFiles.Single)));
        foreach (string shard in shards)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(output, shard));
            Assert.Equal("pt", file.Metadata["format"]);
            Assert.True(file.Names.Count == 1 || file.Names.Sum(name => file.Info(name).Length) <= size.Bytes, shard);
        }
    }

    [Theory]
    [InlineData("5GB", 5_000_000_000)]
    [InlineData("1.5 kb", 1500)]
    [InlineData("2TB", 2_000_000_000_000)]
    public void Sizes_are_powers_of_ten(string text, long bytes)
    {
        Assert.True(ShardSize.TryParse(text, out ShardSize size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory]
    [InlineData("5")]
    [InlineData("5GiB")]
    [InlineData("-1GB")]
    [InlineData("0KB")]
    [InlineData("99999999999TB")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ShardSize.TryParse(text, out _));

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
            File.WriteAllText(
                Path.Combine(directory, WeightFiles.Index),
                new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map }.ToJsonString());
        }
        File.Delete(single);
    }

    private void ImportAndExport(string name, string output, ScalarType type, ShardSize? shardSize = null)
    {
        string native = folder.PathOf("ours.safetensors");
        using HuggingFaceImport source = Goldens.Open(name);
        Safetensors.Write(native, source.Weights);
        using WeightFiles weights = WeightFiles.OpenFile(native);
        HuggingFaceExport.Write(new(name, source.Options, source.Tokenizer, weights, source.Companions), output, type, shardSize);
    }
}
