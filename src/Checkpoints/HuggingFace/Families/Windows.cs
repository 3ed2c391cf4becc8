using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Sliding windows: one for all layers (Mistral), or for those that are named (Qwen).</summary>
internal static class Windows
{
    private const string Sliding = "sliding_attention", Full = "full_attention";

    /// <summary>The pattern of a window; null for none.</summary>
    public static PatternOptions? Pattern(int? window) => window is { } length ? new SlidingOptions { Window = length } : null;

    /// <summary>The window of a pattern; null for none.</summary>
    public static int? Of(PatternOptions? pattern) => (pattern as SlidingOptions)?.Window;

    /// <summary>The layers of a Qwen model: <c>layer_types</c>, before them <c>use_sliding_window</c> and <c>max_window_layers</c>.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="attention">Attention of all layers, but for the window.</param>
    /// <returns>One group a layer; null where no layer has a window.</returns>
    public static IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention)
    {
        int layers = config.Count("num_hidden_layers"), first = config.Count("max_window_layers", 28);
        int? window = config.OptionalCount("sliding_window");
        bool used = config.Flag("use_sliding_window", false);
        IReadOnlyList<string> types = config.OptionalTexts("layer_types") ?? [.. Enumerable.Range(0, layers).Select(layer => used && layer >= first ? Sliding : Full)];
        if (types.Count != layers) config.Refuse("layer_types", $"has {types.Count} entries, and num_hidden_layers is {layers}");
        if (types.FirstOrDefault(type => type is not (Sliding or Full)) is { } other) config.Refuse("layer_types", $"has \"{other}\"; this program knows {Full} and {Sliding}");
        if (!used || window is null || !types.Contains(Sliding)) return null;
        return [.. types.Select(type => new LayerGroupOptions { Attention = type == Sliding ? attention with { Pattern = Pattern(window) } : attention })];
    }

    /// <summary>Says the layers of a model whose settings are resolved.</summary>
    public static void WriteLayers(ModelOptions model, JsonObject json)
    {
        bool[] sliding = [.. model.Stacks[^1].Layers.Select(layer => layer.Attention.Pattern is SlidingOptions)];
        bool used = sliding.Contains(true);
        json["use_sliding_window"] = used;
        json["sliding_window"] = used ? Of(model.Stacks[^1].Layers[Array.IndexOf(sliding, true)].Attention.Pattern) : null;
        json["max_window_layers"] = used ? Array.LastIndexOf(sliding, false) + 1 : sliding.Length;
        json["layer_types"] = new JsonArray([.. sliding.Select(slides => (JsonNode)(slides ? Sliding : Full))]);
    }
}
