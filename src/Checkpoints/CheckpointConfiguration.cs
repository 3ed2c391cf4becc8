using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>The <c>config.json</c> of a checkpoint: what it takes to use the model is typed, the rest of the recipe stays JSON.</summary>
/// <remarks>Optimizer, schedule and the like are read by training, which alone knows them.</remarks>
public sealed record CheckpointConfiguration
{
    /// <summary>The name of the recipe.</summary>
    public required string Name { get; init; }

    /// <summary>The model.</summary>
    public required ModelOptions Model { get; init; }

    /// <summary>How text becomes tokens.</summary>
    public required TokenizerOptions Tokenizer { get; init; }

    /// <summary>The texts it was trained and validated on.</summary>
    public required DataOptions Data { get; init; }

    /// <summary>Rows that training computed at once, so that an evaluation fits where training did.</summary>
    [JsonIgnore]
    public int RowsAtOnce { get; private init; } = 1;

    /// <summary>The names of these sections in <c>config.json</c>.</summary>
    private static readonly string[] Sections = ["name", "model", "tokenizer", "data"];

    /// <summary>Reads the file as it was saved: the environment plays no part.</summary>
    /// <param name="path">A <c>config.json</c>.</param>
    /// <exception cref="ConfigurationException">It is not one; everything that is wrong with these sections is listed.</exception>
    internal static CheckpointConfiguration Read(string path)
    {
        JsonObject json = ReadJson(path);
        JsonObject typed = new(Sections.Where(json.ContainsKey).Select(name => KeyValuePair.Create(name, json[name]?.DeepClone())));
        return ConfigurationJson.Deserialize<CheckpointConfiguration>(typed.ToJsonString(), path) with { RowsAtOnce = Rows(json["training"] as JsonObject) };
    }

    /// <summary>The whole file.</summary>
    /// <param name="path">A <c>config.json</c>.</param>
    /// <exception cref="UserException">It is no JSON object.</exception>
    internal static JsonObject ReadJson(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(path), documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new UserException($"{path}: it is not a JSON object");
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it cannot be read as JSON ({error.Message.TrimEnd('.')})", error);
        }
    }

    private static int Rows(JsonObject? training) =>
        (training?["microBatchSize"] ?? training?["batchSize"]) is JsonValue rows && rows.TryGetValue(out int number) && number > 0 ? number : 1;
}
