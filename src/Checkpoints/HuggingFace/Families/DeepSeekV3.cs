using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>DeepSeek-V3 (DeepSeek-AI 2024, arXiv 2412.19437): latent attention, and experts after some dense layers.</summary>
/// <remarks>Layers beyond <c>num_hidden_layers</c> predict more tokens at once in training, and are left aside.</remarks>
internal sealed class DeepSeekV3 : RotaryDecoder
{
    // Of the norms inside attention, whatever rms_norm_eps is.
    private const double InnerEpsilon = 1e-6;

    private const string Block = "model.layers.";

    // Where a rule between settings of experts is broken, by our name of the setting it is about.
    private static readonly Dictionary<string, string> ExpertSettings = new()
    {
        ["active"] = "num_experts_per_tok", ["groups"] = "n_group", ["activeGroups"] = "topk_group", ["normalizeWeights"] = "norm_topk_prob",
    };

    public override string ModelType => "deepseek_v3";

    public override string Architecture => "DeepseekV3ForCausalLM";

    protected override AttentionOptions ReadAttention(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads"), keyHeads = config.Count("num_key_value_heads", heads);
        if (keyHeads != heads) config.Refuse("num_key_value_heads", $"is {keyHeads}, and num_attention_heads {heads}: in latent attention each head has keys and values of its own");
        config.Unused("head_dim", "qk_head_dim"); // follow from the widths below
        bool bias = config.Flag("attention_bias", false);
        return new LatentOptions
        {
            Heads = heads,
            QueryRank = config.Names("q_lora_rank") ? config.OptionalCount("q_lora_rank") : 1536,
            KeyValueRank = config.Count("kv_lora_rank", 512),
            HeadDim = config.Count("qk_nope_head_dim", 128),
            RopeDim = config.Count("qk_rope_head_dim", 64),
            ValueDim = config.Count("v_head_dim", 128),
            NormEpsilon = InnerEpsilon,
            Bias = bias,
            OutputBias = bias,
        };
    }

    protected override void WriteAttention(ModelOptions model, JsonObject json)
    {
        if (model.Attention is not LatentOptions attention) return;
        LatentShape shape = attention.Shape(model.Dim);
        json["num_key_value_heads"] = shape.Heads;
        json["q_lora_rank"] = attention.QueryRank;
        json["kv_lora_rank"] = shape.Rank;
        json["qk_nope_head_dim"] = shape.HeadDim;
        json["qk_rope_head_dim"] = shape.TurnedDim;
        json["v_head_dim"] = shape.ValueDim;
        json["head_dim"] = shape.TurnedDim; // whose frequencies transformers makes
        json["attention_bias"] = attention.Bias ?? model.Bias;
    }

    protected override Rope ReadRope(HuggingFaceConfig config) => DeepSeekRope.Read(config);

    protected override void WriteRope(ModelOptions model, JsonObject json) => DeepSeekRope.Write(model, json);

    protected override FeedForwardOptions ReadFeedForward(HuggingFaceConfig config) =>
        DenseLayers(config) < config.Count("num_hidden_layers") ? ReadExperts(config) : ReadDense(config);

    protected override IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention)
    {
        int layers = config.Count("num_hidden_layers"), dense = DenseLayers(config);
        return dense <= 0 || dense >= layers
            ? null
            : [new() { Repeat = dense, FeedForward = ReadDense(config) }, new() { Repeat = layers - dense }];
    }

    protected override void WriteFeedForward(ModelOptions model, JsonObject json)
    {
        FeedForwardOptions[] layers = [.. model.Stacks[^1].Layers.Select(layer => layer.FeedForward)];
        json["first_k_dense_replace"] = layers.TakeWhile(layer => layer is not ExpertsOptions).Count();
        if (layers.FirstOrDefault(layer => layer is not ExpertsOptions) is { } dense) json["intermediate_size"] = dense.Width(model.Dim);
        if (layers.OfType<ExpertsOptions>().FirstOrDefault() is not { } experts) return;
        json["moe_intermediate_size"] = experts.Width(model.Dim);
        json["n_routed_experts"] = experts.Experts;
        json["num_experts_per_tok"] = experts.Active;
        json["n_shared_experts"] = experts.Shared;
        json["n_group"] = experts.Groups;
        json["topk_group"] = experts.ActiveGroups;
        json["norm_topk_prob"] = experts.Normalizes;
        json["routed_scaling_factor"] = Real.Json(experts.Scale);
        json["scoring_func"] = "sigmoid";
        json["topk_method"] = "noaux_tc";
        json["moe_layer_freq"] = 1;
    }

    protected override IEnumerable<WeightRule> AttentionRules(ModelOptions model, string ours, string theirs)
    {
        LatentOptions attention = (LatentOptions)model.Attention;
        LatentShape shape = attention.Shape(model.Dim);
        bool bias = attention.Bias ?? model.Bias;
        string projection = $"{ours}.projection";
        IEnumerable<WeightRule> queries = attention.QueryRank is not { } rank
            ? Parts.Linear($"{projection}.query", theirs + "q_proj", shape.QueryRows, model.Dim, false)
            :
            [
                .. Parts.Linear($"{projection}.queryDown", theirs + "q_a_proj", rank, model.Dim, bias),
                .. Parts.Norm($"{projection}.queryNorm", theirs + "q_a_layernorm", rank, false),
                .. Parts.Linear($"{projection}.queryUp", theirs + "q_b_proj", shape.QueryRows, rank, false),
            ];
        return
        [
            .. queries,
            .. Parts.Linear($"{projection}.keyValueDown", theirs + "kv_a_proj_with_mqa", shape.Remembered, model.Dim, bias),
            .. Parts.Norm($"{projection}.keyValueNorm", theirs + "kv_a_layernorm", shape.Rank, false),
            .. Parts.Linear($"{projection}.keyValueUp", theirs + "kv_b_proj", shape.ExpandedRows, shape.Rank, false),
            .. Parts.Linear($"{ours}.output", theirs + "o_proj", model.Dim, shape.OutputWidth, attention.OutputBias ?? model.Bias),
        ];
    }

    protected override IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string ours, string theirs, int layer)
    {
        string block = theirs + "mlp.";
        if (model.Stacks[^1].Layers[layer].FeedForward is not ExpertsOptions options)
            return Parts.Gated(ours, block, model.Dim, model.Stacks[^1].Layers[layer].FeedForward.Width(model.Dim), false);
        long width = options.Width(model.Dim);
        string bias = block + "gate.e_score_correction_bias";
        return
        [
            Rules.Copy($"{ours}.router.weight", block + "gate.weight", options.Experts, model.Dim),
            options.Balance is BiasBalanceOptions ? Rules.Copy($"{ours}.router.balance", bias, options.Experts) : Rules.Zeros(bias, options.Experts),
            Rules.Experts($"{ours}.experts.gateUp", options.Experts, model.Dim, expert => [($"{block}experts.{expert}.gate_proj.weight", width), ($"{block}experts.{expert}.up_proj.weight", width)]),
            Rules.Experts($"{ours}.experts.down", options.Experts, width, expert => [($"{block}experts.{expert}.down_proj.weight", model.Dim)]),
            .. options.Shared > 0 ? Parts.Gated($"{ours}.shared", block + "shared_experts.", model.Dim, options.Shared * width, false) : [],
        ];
    }

    protected override bool IsIgnored(ModelOptions model, string tensor) => base.IsIgnored(model, tensor) || LayerOf(tensor) >= model.Layers;

    private static int? LayerOf(string tensor) =>
        tensor.StartsWith(Block, StringComparison.Ordinal) && int.TryParse(tensor.AsSpan(Block.Length, Math.Max(0, tensor.IndexOf('.', Block.Length) - Block.Length)), out int layer) ? layer : null;

    private static int DenseLayers(HuggingFaceConfig config) => config.Count("first_k_dense_replace", 3);

    private static SwiGluOptions ReadDense(HuggingFaceConfig config) => new() { HiddenDim = config.Count("intermediate_size"), Bias = false };

    private static ExpertsOptions ReadExperts(HuggingFaceConfig config)
    {
        config.Unused("intermediate_size", "aux_loss_alpha", "seq_aux", "router_aux_loss_coef", "output_router_logits", "ep_size"); // of training, or of no layer
        config.Choice("scoring_func", "sigmoid", new Dictionary<string, bool> { ["sigmoid"] = true });
        config.Choice("topk_method", "noaux_tc", new Dictionary<string, bool> { ["noaux_tc"] = true });
        if (config.Count("moe_layer_freq", 1) is not 1 and var every) config.Refuse("moe_layer_freq", $"is {every}; in this family all layers after first_k_dense_replace have experts, which is 1");
        ExpertsOptions experts = new()
        {
            Experts = config.Count("n_routed_experts", 256),
            Active = config.Count("num_experts_per_tok", 8),
            Shared = config.Count("n_shared_experts", 1),
            HiddenDim = config.Count("moe_intermediate_size", 2048),
            Groups = config.Count("n_group", 8),
            ActiveGroups = config.Count("topk_group", 4),
            NormalizeWeights = config.Flag("norm_topk_prob", true),
            Scale = config.Number("routed_scaling_factor", 2.5),
            Router = RouterKind.Sigmoid,
            Balance = new BiasBalanceOptions(),
            RouterZLoss = 0,
            Bias = false,
        };
        foreach (Problem problem in experts.Validate()) config.Refuse(ExpertSettings[problem.Path], problem.Message);
        return experts;
    }
}
