using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>JSON as Python writes it.</summary>
internal static class PythonJson
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static void Save(string directory, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(directory, name), json.ToJsonString(Indented).ReplaceLineEndings("\n") + "\n");

    /// <summary>A float with a point or an exponent, 10000.0 rather than 10000, for readers that check the type.</summary>
    public static JsonNode Number(double value)
    {
        string digits = value.ToString("R", CultureInfo.InvariantCulture);
        return JsonNode.Parse(digits.AsSpan().ContainsAny('.', 'E') ? digits : $"{digits}.0")!;
    }
}
