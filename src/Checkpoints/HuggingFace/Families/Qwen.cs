using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Qwen 2 and 2.5 (Yang et al. 2024, arXiv 2407.10671): Llama with biases on queries, keys and values.</summary>
internal sealed class Qwen2 : Qwen
{
    public override string ModelType => "qwen2";

    public override string Architecture => "Qwen2ForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention) =>
        attention with { Bias = true };
}

/// <summary>Qwen 3 (Yang et al. 2025, arXiv 2505.09388): Llama with a norm on each head of queries and keys.</summary>
internal sealed class Qwen3 : Qwen
{
    public override string ModelType => "qwen3";

    public override string Architecture => "Qwen3ForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention)
    {
        bool bias = config.Flag("attention_bias", false);
        // Unlike Llama's, heads are not dim / heads wide by default.
        return attention with { HeadDim = attention.HeadDim ?? 128, QueryKeyNorm = true, Bias = bias, OutputBias = bias };
    }

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json)
    {
        json["attention_bias"] = attention.Bias ?? model.Bias;
        base.WriteAttention(attention, model, json);
    }
}

/// <summary>Sliding windows in some layers: <c>layer_types</c>, formerly <c>use_sliding_window</c> and <c>max_window_layers</c>.</summary>
internal abstract class Qwen : LlamaLike
{
    private const string Sliding = "sliding_attention", Full = "full_attention";

    private const int DefaultWindow = 4096;

    protected override IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention)
    {
        int layers = config.Count("num_hidden_layers"), first = config.Count("max_window_layers", 28);
        int? window = config.Contains("sliding_window") ? config.OptionalCount("sliding_window") : DefaultWindow;
        bool used = config.Flag("use_sliding_window", false);
        IReadOnlyList<string> types = config.OptionalTexts("layer_types")
            ?? [.. Enumerable.Range(0, layers).Select(layer => used && layer >= first ? Sliding : Full)];
        if (types.Count != layers) config.Refuse("layer_types", $"has {types.Count} entries, and num_hidden_layers is {layers}");
        if (types.FirstOrDefault(type => type is not (Sliding or Full)) is { } other)
            config.Refuse("layer_types", $"has \"{other}\"; this program knows {Full} and {Sliding}");
        if (!used || window is null || !types.Contains(Sliding)) return null;
        AttentionOptions slides = attention with { Pattern = SlidingWindow.Pattern(window) };
        return [.. types.Select(type => new LayerGroupOptions { Attention = type == Sliding ? slides : attention })];
    }

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json)
    {
        bool[] sliding = [.. model.Stacks[^1].Layers.Select(layer => layer.Attention.Pattern is SlidingOptions)];
        bool used = sliding.Contains(true);
        json["use_sliding_window"] = used;
        json["sliding_window"] = used ? SlidingWindow.Of(model.Stacks[^1].Layers[Array.IndexOf(sliding, true)].Attention.Pattern) : null;
        json["max_window_layers"] = used ? Array.LastIndexOf(sliding, false) + 1 : sliding.Length;
        json["layer_types"] = new JsonArray([.. sliding.Select(slides => (JsonNode)(slides ? Sliding : Full))]);
    }
}
