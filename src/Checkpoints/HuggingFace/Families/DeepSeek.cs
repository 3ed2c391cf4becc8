using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>DeepSeek-V3 (DeepSeek-AI 2024, arXiv 2412.19437). Layers for multi-token prediction are not imported.</summary>
internal sealed class DeepSeekV3 : RotaryDecoder
{
    // ε of the norms inside attention, whatever rms_norm_eps is.
    private const double InnerEpsilon = 1e-6;

    private const string Block = "model.layers.";

    // Hugging Face's names of the settings that validation of experts reports.
    private static readonly Dictionary<string, string> ExpertSettings = new()
    {
        ["active"] = "num_experts_per_tok",
        ["groups"] = "n_group",
        ["activeGroups"] = "topk_group",
        ["normalizeWeights"] = "norm_topk_prob",
    };

    public override string ModelType => "deepseek_v3";

    public override string Architecture => "DeepseekV3ForCausalLM";

    protected override AttentionOptions ReadAttention(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads"), keyHeads = config.Count("num_key_value_heads", heads);
        if (keyHeads != heads)
            config.Refuse(
                "num_key_value_heads",
                $"is {keyHeads}, and num_attention_heads {heads}: in latent attention each head has keys and values of its own");
        config.Ignore("head_dim", "qk_head_dim"); // follow from the widths below
        bool bias = config.Flag("attention_bias", false);
        return new LatentOptions
        {
            Heads = heads,
            QueryRank = config.Contains("q_lora_rank") ? config.OptionalCount("q_lora_rank") : 1536,
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
        json["qk_rope_head_dim"] = shape.RotaryDim;
        json["v_head_dim"] = shape.ValueDim;
        json["head_dim"] = shape.RotaryDim; // transformers makes the frequencies for this width
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
        json["routed_scaling_factor"] = PythonJson.Number(experts.Scale);
        json["scoring_func"] = "sigmoid";
        json["topk_method"] = "noaux_tc";
        json["moe_layer_freq"] = 1;
    }

    protected override IEnumerable<WeightRule> AttentionRules(ModelOptions model, string module, string prefix)
    {
        LatentOptions attention = (LatentOptions)model.Attention;
        LatentShape shape = attention.Shape(model.Dim);
        bool bias = attention.Bias ?? model.Bias;
        string projection = $"{module}.projection";
        IEnumerable<WeightRule> queries = attention.QueryRank is not { } rank
            ? LayerRules.Linear($"{projection}.query", prefix + "q_proj", shape.QueryRows, model.Dim, false)
            :
            [
                .. LayerRules.Linear($"{projection}.queryDown", prefix + "q_a_proj", rank, model.Dim, bias),
                .. LayerRules.Norm($"{projection}.queryNorm", prefix + "q_a_layernorm", rank, false),
                .. LayerRules.Linear($"{projection}.queryUp", prefix + "q_b_proj", shape.QueryRows, rank, false),
            ];
        return
        [
            .. queries,
            .. LayerRules.Linear($"{projection}.keyValueDown", prefix + "kv_a_proj_with_mqa", shape.CachedWidth, model.Dim, bias),
            .. LayerRules.Norm($"{projection}.keyValueNorm", prefix + "kv_a_layernorm", shape.Rank, false),
            .. LayerRules.Linear($"{projection}.keyValueUp", prefix + "kv_b_proj", shape.ExpandedRows, shape.Rank, false),
            .. LayerRules.Linear($"{module}.output", prefix + "o_proj", model.Dim, shape.OutputWidth, attention.OutputBias ?? model.Bias),
        ];
    }

    protected override IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string module, string prefix, int layer)
    {
        string block = prefix + "mlp.";
        if (model.Stacks[^1].Layers[layer].FeedForward is not ExpertsOptions options)
            return LayerRules.Gated(module, block, model.Dim, model.Stacks[^1].Layers[layer].FeedForward.Width(model.Dim), false);
        long width = options.Width(model.Dim);
        string bias = block + "gate.e_score_correction_bias";
        return
        [
            WeightRule.Copy($"{module}.router.weight", block + "gate.weight", options.Experts, model.Dim),
            options.Balance is BiasBalanceOptions
                ? WeightRule.Copy($"{module}.router.balance", bias, options.Experts)
                : WeightRule.Zeros(bias, options.Experts),
            WeightRule.Experts(
                $"{module}.experts.gateUp", options.Experts, model.Dim,
                expert => [($"{block}experts.{expert}.gate_proj.weight", width), ($"{block}experts.{expert}.up_proj.weight", width)]),
            WeightRule.Experts(
                $"{module}.experts.down", options.Experts, width, expert => [($"{block}experts.{expert}.down_proj.weight", model.Dim)]),
            .. options.Shared > 0
                ? LayerRules.Gated($"{module}.shared", block + "shared_experts.", model.Dim, options.Shared * width, false)
                : [],
        ];
    }

    protected override bool IsIgnored(ModelOptions model, string tensor) =>
        base.IsIgnored(model, tensor) || LayerOf(tensor) >= model.Layers;

    private static int? LayerOf(string tensor)
    {
        if (!tensor.StartsWith(Block, StringComparison.Ordinal)) return null;
        int digits = Math.Max(0, tensor.IndexOf('.', Block.Length) - Block.Length);
        return int.TryParse(tensor.AsSpan(Block.Length, digits), out int layer) ? layer : null;
    }

    private static int DenseLayers(HuggingFaceConfig config) => config.Count("first_k_dense_replace", 3);

    private static SwiGluOptions ReadDense(HuggingFaceConfig config) =>
        new() { HiddenDim = config.Count("intermediate_size"), Bias = false };

    private static ExpertsOptions ReadExperts(HuggingFaceConfig config)
    {
        // Settings of training, or of no layer.
        config.Ignore("intermediate_size", "aux_loss_alpha", "seq_aux", "router_aux_loss_coef", "output_router_logits", "ep_size");
        config.Choice("scoring_func", "sigmoid", new Dictionary<string, bool> { ["sigmoid"] = true });
        config.Choice("topk_method", "noaux_tc", new Dictionary<string, bool> { ["noaux_tc"] = true });
        if (config.Count("moe_layer_freq", 1) is not 1 and var every)
            config.Refuse("moe_layer_freq", $"is {every}; in this family all layers after first_k_dense_replace have experts, which is 1");
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

/// <summary>DeepSeek's rotary positions: interleaved pairs, and a YaRN of its own (<see cref="YarnScaling"/>).</summary>
/// <remarks>Other families have mscale_all_dim too, but do not multiply scores. Both settings are kept here and attention's scale is left
/// alone, so that nothing is multiplied twice.</remarks>
internal static class DeepSeekRope
{
    public static Rope Read(HuggingFaceConfig config)
    {
        Rope rope = Rope.Read(config);
        RotaryLayout layout = config.Flag("rope_interleave", true) ? RotaryLayout.Interleaved : RotaryLayout.HalfSplit;
        RotaryOptions options = rope.Options with { Layout = layout };
        HuggingFaceConfig? section = Rope.Section(config);
        if (section?.OptionalNumber("mscale_all_dim") is not { } all || all == 0 || options.Scaling is null)
            return rope with { Options = options };
        if (all > 0 && options.Scaling is YarnScaling yarn)
        {
            yarn = WithScoreScale(yarn, section.OptionalNumber("attention_factor"), section.OptionalNumber("mscale"), all);
            return rope with { Options = options with { Scaling = yarn } };
        }
        section.Refuse("mscale_all_dim", all > 0 ? "belongs to rope_type \"yarn\"; leave it out" : $"is {all}; it is a weight, 0 or more");
        return rope with { Options = options };
    }

    public static void Write(ModelOptions model, JsonObject json)
    {
        Rope.Write(model, json);
        if (model.Position is not RotaryOptions rotary) return;
        json["rope_interleave"] = rotary.Layout == RotaryLayout.Interleaved;
        if (rotary.Scaling is not YarnScaling yarn) return;
        foreach (string spelling in (string[])["rope_parameters", "rope_scaling"])
            WriteScales(yarn, model.ContextLength, (JsonObject)json[spelling]!);
    }

    private static YarnScaling WithScoreScale(YarnScaling yarn, double? attentionFactor, double? mscale, double all)
    {
        double s = yarn.Factor!.Value;
        // The default of transformers where mscale is missing.
        double factor = attentionFactor ?? Magnitude(s, 1);
        return yarn with
        {
            AttentionFactor = null,
            MscaleAllDim = all,
            Mscale = attentionFactor is null && mscale is > 0 ? mscale : Weight(s, factor * Magnitude(s, all)),
        };
    }

    // DeepSeek's own code and vLLM read the two settings; transformers reads them if neither is 0, and the factor otherwise.
    private static void WriteScales(YarnScaling yarn, int contextLength, JsonObject json)
    {
        (double s, double all, double factor) = (yarn.Factor!.Value, yarn.MscaleAllDim ?? 0, yarn.ResolvedAttentionFactor(contextLength));
        double mscale = yarn.Mscale ?? Weight(s, factor * Magnitude(s, all));
        json["mscale"] = PythonJson.Number(mscale);
        json["mscale_all_dim"] = PythonJson.Number(all);
        if (mscale > 0 && all > 0) json.Remove("attention_factor");
        else json["attention_factor"] = PythonJson.Number(factor);
    }

    private static double Magnitude(double s, double weight) => 0.1 * weight * Math.Log(s) + 1;

    private static double Weight(double s, double magnitude) => s > 1 ? Math.Round((magnitude - 1) / (0.1 * Math.Log(s)), 12) : 1;
}
