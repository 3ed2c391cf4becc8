using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Mixtral (Jiang et al. 2024, arXiv 2401.04088): Mistral with experts, two of which each token is given to.</summary>
internal sealed class Mixtral : LlamaLike
{
    protected override double DefaultEpsilon => 1e-5;

    public override string ModelType => "mixtral";

    public override string Architecture => "MixtralForCausalLM";

    protected override GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention) =>
        attention with { Pattern = Windows.Pattern(config.OptionalCount("sliding_window")) };

    protected override void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json) =>
        json["sliding_window"] = Windows.Of(attention.Pattern);

    protected override FeedForwardOptions ReadFeedForward(HuggingFaceConfig config)
    {
        config.Unused("router_aux_loss_coef", "router_jitter_noise", "output_router_logits");
        return new ExpertsOptions
        {
            Experts = config.Count("num_local_experts", 8), Active = config.Count("num_experts_per_tok", 2), HiddenDim = config.Count("intermediate_size"), Bias = false, NormalizeWeights = true,
        };
    }

    protected override void WriteFeedForward(ModelOptions model, JsonObject json)
    {
        base.WriteFeedForward(model, json);
        if (model.FeedForward is ExpertsOptions experts) (json["num_local_experts"], json["num_experts_per_tok"]) = (experts.Experts, experts.Active);
    }

    protected override IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string ours, string theirs, int layer)
    {
        ExpertsOptions options = (ExpertsOptions)model.FeedForward;
        string block = theirs + "block_sparse_moe.";
        long width = options.Width(model.Dim);
        return
        [
            Rules.Copy($"{ours}.router.weight", block + "gate.weight", options.Experts, model.Dim),
            Rules.Experts($"{ours}.experts.gateUp", options.Experts, model.Dim, expert => [($"{block}experts.{expert}.w1.weight", width), ($"{block}experts.{expert}.w3.weight", width)]),
            Rules.Experts($"{ours}.experts.down", options.Experts, width, expert => [($"{block}experts.{expert}.w2.weight", model.Dim)]),
        ];
    }
}
