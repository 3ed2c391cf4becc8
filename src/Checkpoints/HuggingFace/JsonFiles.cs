using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>The small files of a checkpoint as Python writes them: indented, readable letters, a newline at the end.</summary>
internal static class JsonFiles
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes one.</summary>
    public static void Save(string directory, string name, JsonObject json) =>
        File.WriteAllText(Path.Combine(directory, name), json.ToJsonString(Readable).ReplaceLineEndings("\n") + "\n");
}
