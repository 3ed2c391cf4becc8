using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.HuggingFace;

internal static class HuggingFaceExport
{
    private static readonly Dictionary<ScalarType, string> TypeNames = new()
    {
        [ScalarType.Float32] = "float32", [ScalarType.Float16] = "float16", [ScalarType.BFloat16] = "bfloat16",
    };

    /// <summary>Writes a directory, complete or absent, in float32, float16 or bfloat16, and returns the family.</summary>
    /// <exception cref="UserException">No family has the model, or a weight is not finite or too large for the type.</exception>
    public static string Write(ExportSource source, string directory, ScalarType type = ScalarType.Float32, ShardSize? shardSize = null)
    {
        Family family = FamilyRegistry.Of(source.Model);
        int vocabulary = source.VocabularySize;
        WeightMap map = family.Weights(CanonicalModel.Resolved(source.Model), vocabulary);
        IReadOnlyList<PendingTensor> weights = map.Export(source.Weights, type);
        JsonObject generation = CompanionFiles.GenerationOf(source.Companions, source.Tokenizer);
        CompanionFiles.AddSequenceTokens(generation, source);
        WriteDirectory(directory, into =>
        {
            WriteShards(into, weights, (shardSize ?? ShardSize.Default).Bytes);
            PythonJson.Save(into, HuggingFaceConfig.FileName, Configuration(family, source.Model, vocabulary, generation, type));
            source.Tokenizer.Save(Path.Combine(into, TokenizerFiles.FileName));
            foreach ((string name, JsonObject companion) in source.Companions)
                if (name != ChatTemplateFile.FileName) PythonJson.Save(into, name, companion);
            PythonJson.Save(into, CompanionFiles.TokenizerConfig, TokenizerConfig(source, generation));
            PythonJson.Save(into, CompanionFiles.Generation, generation);
            File.WriteAllText(Path.Combine(into, ModelCard.FileName), ModelCard.Of(source, family));
        });
        return family.ModelType;
    }

    private static JsonObject TokenizerConfig(ExportSource source, JsonObject generation)
    {
        JsonObject config = source.Companions.TryGetValue(CompanionFiles.TokenizerConfig, out JsonObject? kept)
            ? (JsonObject)kept.DeepClone()
            : CompanionFiles.TokenizerConfigOf(generation, source.Tokenizer, source.Model.ContextLength);
        ChatTemplateFile.Of(source.Companions)?.AddTo(config);
        return config;
    }

    private static JsonObject Configuration(Family family, ModelOptions model, int vocabulary, JsonObject generation, ScalarType type)
    {
        JsonObject json = new()
        {
            ["architectures"] = new JsonArray(family.Architecture), ["model_type"] = family.ModelType, ["vocab_size"] = vocabulary,
        };
        foreach ((string key, JsonNode? value) in family.Write(CanonicalModel.Resolved(model))) json[key] = value?.DeepClone();
        foreach (string key in CompanionFiles.SpecialIds)
            if (generation[key] is { } id) json[key] = id.DeepClone();
        json["dtype"] = TypeNames[type];
        json["torch_dtype"] = TypeNames[type]; // the older spelling
        return json;
    }

    /// <summary>Writes one file, or shards and their index above the limit, with transformers' names.</summary>
    private static void WriteShards(string directory, IReadOnlyList<PendingTensor> weights, long limit)
    {
        // transformers refuses files that do not name the framework whose layout they have.
        Dictionary<string, string> metadata = new() { ["format"] = "pt" };
        IReadOnlyList<IReadOnlyList<PendingTensor>> shards = Split(weights, limit);
        if (shards.Count == 1)
        {
            Safetensors.Write(Path.Combine(directory, WeightFiles.Single), weights, metadata);
            return;
        }
        JsonObject map = [];
        foreach ((int index, IReadOnlyList<PendingTensor> shard) in shards.Index())
        {
            string name = $"model-{index + 1:00000}-of-{shards.Count:00000}.safetensors";
            Safetensors.Write(Path.Combine(directory, name), shard, metadata);
            foreach (PendingTensor tensor in shard) map[tensor.Name] = name;
        }
        JsonObject total = new() { ["total_size"] = weights.Sum(tensor => tensor.Bytes) };
        PythonJson.Save(directory, WeightFiles.Index, new() { ["metadata"] = total, ["weight_map"] = map });
    }

    // A tensor larger than the limit gets a file of its own.
    private static List<List<PendingTensor>> Split(IReadOnlyList<PendingTensor> weights, long limit)
    {
        List<List<PendingTensor>> shards = [[]];
        long held = 0;
        foreach (PendingTensor tensor in weights)
        {
            if (held > 0 && held + tensor.Bytes > limit)
            {
                shards.Add([]);
                held = 0;
            }
            shards[^1].Add(tensor);
            held += tensor.Bytes;
        }
        return shards;
    }

    internal static void WriteDirectory(string directory, Action<string> fill)
    {
        directory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (File.Exists(directory) || (Directory.Exists(directory) && Directory.EnumerateFileSystemEntries(directory).Any()))
            throw new UserException($"{directory}: something is there already; remove it or choose another --output");
        string temporary = $"{directory}.tmp-{Environment.ProcessId}";
        try
        {
            Directory.CreateDirectory(temporary);
            fill(temporary);
            if (Directory.Exists(directory)) Directory.Delete(directory);
            Directory.Move(temporary, directory);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{directory}: it cannot be written: {error.Message}", error);
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }
}

/// <summary>The most that one file of weights may hold, as transformers writes it: <c>5GB</c>, <c>500MB</c>, in powers of ten.</summary>
public sealed partial record ShardSize(long Bytes)
{
    private static readonly string[] Units = ["KB", "MB", "GB", "TB"];

    /// <summary>5 GB, the default of transformers.</summary>
    public static ShardSize Default { get; } = new(5_000_000_000);

    /// <summary>Parses a number and one of KB, MB, GB, TB, such as <c>5GB</c> or <c>1.5GB</c>.</summary>
    public static bool TryParse(string text, out ShardSize size)
    {
        size = Default;
        if (Pattern().Match(text) is not { Success: true } match) return false;
        int unit = Array.IndexOf(Units, match.Groups["unit"].Value.ToUpperInvariant());
        double bytes = double.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture) * Math.Pow(1000, unit + 1);
        if (bytes is < 1 or > 1e18) return false;
        size = new((long)bytes);
        return true;
    }

    [GeneratedRegex(@"^(?<number>[0-9]+(\.[0-9]+)?)\s*(?<unit>[KMGT]B)$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
