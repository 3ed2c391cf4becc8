using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>Resolved configurations as JSON, such as <c>config.json</c> in a run and in every checkpoint.</summary>
public static class ConfigurationJson
{
    /// <summary>Writes every value resolved, but for nulls by default; <see cref="Deserialize{T}"/> reads an equal configuration.</summary>
    public static string Serialize<T>(T value) => ToNode(value).ToJsonString(RecordShape.Options);

    /// <summary>A configuration, or a section of one, as <see cref="Serialize{T}"/> writes it.</summary>
    public static JsonNode ToNode<T>(T value) => ConfigurationWriter.Write(value, typeof(T), null)!;

    /// <summary>JSON as <see cref="Serialize{T}"/> formats it.</summary>
    public static string Format(JsonObject json) => json.ToJsonString(RecordShape.Options);

    /// <summary>Reads JSON as strictly as a file, without environment and overrides; <paramref name="source"/> is for messages.</summary>
    /// <exception cref="ConfigurationException">It holds everything that is wrong.</exception>
    public static T Deserialize<T>(string json, string source)
    {
        var problems = new List<Problem>();
        var reader = JsonLayerReader.ReadFile(source, new JsonText(Encoding.UTF8.GetBytes(json)), problems);
        if (reader.Extends is { } extends)
            problems.Add(new Problem(ReservedKeys.Extends, $"a resolved configuration extends nothing ({extends.Origin}); remove it"));
        if (!reader.IsWhole)
            throw new ConfigurationException(problems, source);
        return ConfigurationLoader.Bind<T>(new LayerStack([reader.Layer]), [source], problems, source).Value;
    }
}
