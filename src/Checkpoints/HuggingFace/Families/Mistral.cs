using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Mistral 7B (Jiang et al. 2023, arXiv 2310.06825): Llama with a sliding window.</summary>
internal sealed class Mistral : LlamaLike
{
    // The default of transformers for an absent window; null means no window.
    private const int DefaultWindow = 4096;

    public override string ModelType => "mistral";

    public override string Architecture => "MistralForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention)
    {
        int? window = config.Contains("sliding_window") ? config.OptionalCount("sliding_window") : DefaultWindow;
        return attention with { Pattern = SlidingWindow.Pattern(window) };
    }

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json) =>
        json["sliding_window"] = SlidingWindow.Of(attention.Pattern);
}

internal static class SlidingWindow
{
    public static PatternOptions? Pattern(int? window) => window is { } length ? new SlidingOptions { Window = length } : null;

    public static int? Of(PatternOptions? pattern) => (pattern as SlidingOptions)?.Window;
}
