using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Mistral 7B (Jiang et al. 2023, arXiv 2310.06825): Llama with a sliding window.</summary>
internal sealed class Mistral : LlamaLike
{
    // What transformers takes where a configuration does not name the window; a null there is no window.
    private const int DefaultWindow = 4096;

    public override string ModelType => "mistral";

    public override string Architecture => "MistralForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention)
    {
        int? window = config.Names("sliding_window") ? config.OptionalCount("sliding_window") : DefaultWindow;
        return attention with { Pattern = Windows.Pattern(window) };
    }

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json) =>
        json["sliding_window"] = Windows.Of(attention.Pattern);
}
