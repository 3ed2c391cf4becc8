using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>Resolved configurations as JSON, such as <c>config.json</c> in a run and in every checkpoint.</summary>
public static class ConfigurationJson
{
    /// <summary>Writes a configuration with every value resolved, indented, variants named first. A null is left out where it is the default.</summary>
    /// <typeparam name="T">The type it will be read as; of a closed hierarchy, its base.</typeparam>
    /// <param name="value">The configuration.</param>
    /// <returns>JSON from which <see cref="Deserialize{T}"/> makes an equal configuration.</returns>
    public static string Serialize<T>(T value) => ToNode(value).ToJsonString(Shape.Options);

    /// <summary>A configuration, or a section of one, as <see cref="Serialize{T}"/> writes it.</summary>
    /// <typeparam name="T">The type it will be read as; of a closed hierarchy, its base.</typeparam>
    /// <param name="value">The configuration.</param>
    public static JsonNode ToNode<T>(T value) => ConfigurationWriter.Write(value, typeof(T), null)!;

    /// <summary>JSON as <see cref="Serialize{T}"/> formats it.</summary>
    /// <param name="json">The configuration.</param>
    public static string Format(JsonObject json) => json.ToJsonString(Shape.Options);

    /// <summary>Reads a configuration from JSON, as strictly as from a file, without environment and overrides.</summary>
    /// <typeparam name="T">The record to bind into.</typeparam>
    /// <param name="json">One JSON object.</param>
    /// <param name="source">What to call it in messages, such as the path of the file that holds it.</param>
    /// <returns>The bound configuration.</returns>
    /// <exception cref="ConfigurationException">Anything is wrong; it holds everything that is.</exception>
    public static T Deserialize<T>(string json, string source)
    {
        var problems = new List<Problem>();
        var reader = JsonLayerReader.ReadFile(source, new JsonText(Encoding.UTF8.GetBytes(json)), problems);
        if (reader.Extends is { } extends)
            problems.Add(new Problem(Reserved.Extends, $"a resolved configuration extends nothing ({extends.Origin}); remove it"));
        if (!reader.IsWhole)
            throw new ConfigurationException(problems, source);
        return ConfigurationLoader.Bind<T>(new LayerStack([reader.Layer]), [source], problems, source).Value;
    }
}
