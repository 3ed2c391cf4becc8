using System.Text.Json.Nodes;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Llama 1 to 3 (Touvron et al. 2023, arXiv 2302.13971; Dubey et al. 2024, arXiv 2407.21783).</summary>
internal sealed class Llama : LlamaLike
{
    public override string ModelType => "llama";

    public override string Architecture => "LlamaForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention)
    {
        bool bias = config.Flag("attention_bias", false);
        return attention with { Bias = bias, OutputBias = bias };
    }

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json)
    {
        json["attention_bias"] = attention.Bias ?? model.Bias;
        json["mlp_bias"] = model.FeedForward.Bias ?? model.Bias;
    }
}
