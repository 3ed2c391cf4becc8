using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Qwen 2 and 2.5 (Yang et al. 2024, arXiv 2407.10671): Llama with biases on queries, keys and values.</summary>
internal sealed class Qwen2 : LlamaLike
{
    public override string ModelType => "qwen2";

    public override string Architecture => "Qwen2ForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention) =>
        attention with { Bias = true };

    protected override IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention) => Windows.ReadLayers(config, attention);

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json) => Windows.WriteLayers(model, json);
}
