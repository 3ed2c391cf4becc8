using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Qwen 3 (Yang et al. 2025, arXiv 2505.09388): Llama with a norm on each head of queries and keys.</summary>
internal sealed class Qwen3 : LlamaLike
{
    public override string ModelType => "qwen3";

    public override string Architecture => "Qwen3ForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention)
    {
        bool bias = config.Flag("attention_bias", false);
        // Unlike Llama's the heads are not dim / heads wide when nothing is said.
        return attention with { HeadDim = attention.HeadDim ?? 128, QueryKeyNorm = true, Bias = bias, OutputBias = bias };
    }

    protected override IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention) => Windows.ReadLayers(config, attention);

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json)
    {
        json["attention_bias"] = attention.Bias ?? model.Bias;
        Windows.WriteLayers(model, json);
    }
}
