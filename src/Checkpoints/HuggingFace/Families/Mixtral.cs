using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Mixtral (Jiang et al. 2024, arXiv 2401.04088): Mistral with experts; each token goes to two of them.</summary>
internal sealed class Mixtral : LlamaLike
{
    protected override double DefaultEpsilon => 1e-5;

    public override string ModelType => "mixtral";

    public override string Architecture => "MixtralForCausalLM";

    protected override Rope ReadRope(HuggingFaceConfig config) => Rope.Read(config, defaultTheta: 1e6);

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention) =>
        attention with { Pattern = SlidingWindow.Pattern(config.OptionalCount("sliding_window")) };

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json) =>
        json["sliding_window"] = SlidingWindow.Of(attention.Pattern);

    protected override FeedForwardOptions ReadFeedForward(HuggingFaceConfig config)
    {
        config.Ignore("router_aux_loss_coef", "router_jitter_noise", "output_router_logits");
        return new ExpertsOptions
        {
            Experts = config.Count("num_local_experts", 8),
            Active = config.Count("num_experts_per_tok", 2),
            HiddenDim = config.Count("intermediate_size"),
            Bias = false,
            NormalizeWeights = true,
        };
    }

    protected override void WriteFeedForward(ModelOptions model, JsonObject json)
    {
        base.WriteFeedForward(model, json);
        if (model.FeedForward is ExpertsOptions experts)
            (json["num_local_experts"], json["num_experts_per_tok"]) = (experts.Experts, experts.Active);
    }

    protected override IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string module, string prefix, int layer)
    {
        ExpertsOptions options = (ExpertsOptions)model.FeedForward;
        string block = prefix + "block_sparse_moe.";
        long width = options.Width(model.Dim);
        return
        [
            WeightRule.Copy($"{module}.router.weight", block + "gate.weight", options.Experts, model.Dim),
            WeightRule.Experts(
                $"{module}.experts.gateUp", options.Experts, model.Dim,
                expert => [($"{block}experts.{expert}.w1.weight", width), ($"{block}experts.{expert}.w3.weight", width)]),
            WeightRule.Experts(
                $"{module}.experts.down", options.Experts, width, expert => [($"{block}experts.{expert}.w2.weight", model.Dim)]),
        ];
    }
}
