using System.Text.Json.Nodes;
using Trainer.Transformers;
using Trainer.Transformers.Attention.Patterns;

namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>Sliding windows: a number for all layers, or a word for each layer.</summary>
internal static class Windows
{
    /// <summary>The pattern of a window; a window as long as the context is none.</summary>
    public static PatternOptions? Pattern(int? window, int contextLength) => window is null || window >= contextLength ? null : throw new NotSupportedException();

    /// <summary>The window of a pattern; null for none.</summary>
    public static int? Of(PatternOptions? pattern) => null;

    public static PatternOptions? ReadLayers(HuggingFaceConfig config) => null;

    public static void WriteLayers(PatternOptions? pattern, ModelOptions model, JsonObject json) { }
}
