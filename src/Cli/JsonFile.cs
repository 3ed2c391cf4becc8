using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Trainer.Cli;

internal static class JsonFile
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        // A perplexity may overflow: it is written as "Infinity".
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The properties of a result, and some about its origin.</summary>
    internal static JsonObject Object<T>(T result, params ReadOnlySpan<(string Name, string Value)> more)
    {
        var json = JsonSerializer.SerializeToNode(result, Format)!.AsObject();
        foreach (var (name, value) in more) json[name] = value;
        return json;
    }

    internal static void Write(string path, JsonObject json) => Write(path, json, Format);

    /// <summary>Writes one object on one line: for long lists of numbers.</summary>
    internal static void WriteLine<T>(string path, T result) =>
        Write(path, Object(result), new JsonSerializerOptions(Format) { WriteIndented = false });

    private static void Write(string path, JsonObject json, JsonSerializerOptions format)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        File.WriteAllText(path, json.ToJsonString(format) + "\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
    }
}
