using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Writes a model as a Hugging Face checkpoint, which transformers, vLLM and others read.</summary>
public static class HuggingFaceExport
{
    private static readonly Dictionary<ScalarType, string> TypeNames = new()
    {
        [ScalarType.Float32] = "float32", [ScalarType.Float16] = "float16", [ScalarType.BFloat16] = "bfloat16",
    };

    /// <summary>Writes <c>config.json</c>, <c>model.safetensors</c> or its shards and their index, <c>tokenizer.json</c>, <c>tokenizer_config.json</c> and <c>generation_config.json</c>.</summary>
    /// <param name="source">The model.</param>
    /// <param name="directory">A directory that is not there yet, or is empty; it is whole or not there afterwards.</param>
    /// <param name="type">The type of the weights: float32, float16 or bfloat16.</param>
    /// <param name="shardSize">Bytes of weights in one file at most; 5 GB where null, as transformers has it.</param>
    /// <returns>The family it was written as.</returns>
    /// <exception cref="Configuration.UserException">No family has such a model, with the settings that stand in the way; a weight is not finite, or too large for the type; or the directory cannot be written.</exception>
    public static string Write(ExportSource source, string directory, ScalarType type = ScalarType.Float32, ShardSize? shardSize = null)
    {
        Family family = FamilyRegistry.Of(source.Model);
        int vocabulary = source.VocabularySize;
        IReadOnlyList<PendingTensor> weights = family.Weights(CanonicalModel.Resolved(source.Model), vocabulary).Export(source.Weights, type);
        JsonObject generation = source.Companions.TryGetValue(CompanionFiles.Generation, out JsonObject? kept)
            ? (JsonObject)kept.DeepClone()
            : CompanionFiles.GenerationOf(source.Tokenizer);
        NewDirectory.Write(directory, into =>
        {
            Shards.Write(into, weights, shardSize ?? ShardSize.Default);
            JsonFiles.Save(into, HuggingFaceConfig.FileName, Configuration(family, source.Model, vocabulary, generation, type));
            source.Tokenizer.Save(Path.Combine(into, TokenizerFiles.FileName));
            foreach ((string name, JsonObject companion) in source.Companions) JsonFiles.Save(into, name, companion);
            if (!source.Companions.ContainsKey(CompanionFiles.TokenizerConfig))
                JsonFiles.Save(into, CompanionFiles.TokenizerConfig, CompanionFiles.TokenizerConfigOf(generation, source.Tokenizer, source.Model.ContextLength));
            JsonFiles.Save(into, CompanionFiles.Generation, generation);
        });
        return family.ModelType;
    }

    private static JsonObject Configuration(Family family, ModelOptions model, int vocabulary, JsonObject generation, ScalarType type)
    {
        JsonObject json = new() { ["architectures"] = new JsonArray(family.Architecture), ["model_type"] = family.ModelType, ["vocab_size"] = vocabulary };
        foreach ((string key, JsonNode? value) in family.Write(CanonicalModel.Resolved(model))) json[key] = value?.DeepClone();
        foreach (string key in CompanionFiles.SpecialIds)
            if (generation[key] is { } id) json[key] = id.DeepClone();
        json["dtype"] = TypeNames[type];
        json["torch_dtype"] = TypeNames[type]; // the older spelling
        return json;
    }
}
