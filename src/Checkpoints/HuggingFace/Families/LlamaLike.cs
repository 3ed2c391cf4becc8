using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Llama and its sisters: grouped-query attention.</summary>
internal abstract class LlamaLike : RotaryDecoder
{
    /// <summary>Attention beyond the numbers that all have.</summary>
    protected abstract GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention);

    /// <summary>Adds what <see cref="ReadAttention(HuggingFaceConfig, GroupedQueryOptions)"/> reads.</summary>
    protected abstract void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json);

    protected sealed override AttentionOptions ReadAttention(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads");
        return ReadAttention(config, new()
        {
            Heads = heads, KeyValueHeads = config.Count("num_key_value_heads", heads), HeadDim = config.OptionalCount("head_dim"), Bias = false, OutputBias = false,
        });
    }

    protected sealed override void WriteAttention(ModelOptions model, JsonObject json)
    {
        if (model.Attention is not HeadProjectionOptions attention) return;
        json["num_key_value_heads"] = attention.Groups;
        json["head_dim"] = attention.HeadWidth(model.Dim);
        WriteAttention(attention, model, json);
    }

    protected sealed override IEnumerable<WeightRule> AttentionRules(ModelOptions model, string ours, string theirs)
    {
        IEnumerable<WeightRule> rules = Parts.Attention(ours, model, theirs + "q_proj", theirs + "k_proj", theirs + "v_proj", theirs + "o_proj");
        if (!model.Attention.QueryKeyNorm) return rules;
        int width = HeadShape.Of(model).Width;
        return [.. rules, .. Parts.Norm($"{ours}.projection.queryNorm", theirs + "q_norm", width, false), .. Parts.Norm($"{ours}.projection.keyNorm", theirs + "k_norm", width, false)];
    }
}
