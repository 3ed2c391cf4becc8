using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;

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

/// <summary>What Llama and its relatives share beyond <see cref="RotaryDecoder"/>: grouped-query attention.</summary>
internal abstract class LlamaLike : RotaryDecoder
{
    protected abstract GroupedQueryOptions ReadAttention(HuggingFaceConfig config, GroupedQueryOptions attention);

    protected abstract void WriteAttention(HeadProjectionOptions attention, ModelOptions model, JsonObject json);

    protected sealed override AttentionOptions ReadAttention(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads");
        return ReadAttention(config, new()
        {
            Heads = heads,
            KeyValueHeads = config.Count("num_key_value_heads", heads),
            HeadDim = config.OptionalCount("head_dim"),
            Bias = false,
            OutputBias = false,
        });
    }

    protected sealed override void WriteAttention(ModelOptions model, JsonObject json)
    {
        if (model.Attention is not HeadProjectionOptions attention) return;
        json["num_key_value_heads"] = attention.Groups;
        json["head_dim"] = attention.HeadWidth(model.Dim);
        WriteAttention(attention, model, json);
    }

    protected sealed override IEnumerable<WeightRule> AttentionRules(ModelOptions model, string module, string prefix)
    {
        IEnumerable<WeightRule> rules = LayerRules.Attention(
            module, model, prefix + "q_proj", prefix + "k_proj", prefix + "v_proj", prefix + "o_proj");
        if (!model.Attention.QueryKeyNorm) return rules;
        int width = HeadShape.Of(model).Width;
        return
        [
            .. rules,
            .. LayerRules.Norm($"{module}.projection.queryNorm", prefix + "q_norm", width, false),
            .. LayerRules.Norm($"{module}.projection.keyNorm", prefix + "k_norm", width, false),
        ];
    }
}

/// <summary>What Llama's descendants share, whatever their attention: RMS norms before branches, rotary positions, SwiGLU, names.</summary>
internal abstract class RotaryDecoder : Family
{
    protected virtual double DefaultEpsilon => 1e-6;

    protected abstract AttentionOptions ReadAttention(HuggingFaceConfig config);

    protected abstract void WriteAttention(ModelOptions model, JsonObject json);

    protected virtual IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention) => null;

    protected virtual Rope ReadRope(HuggingFaceConfig config) => Rope.Read(config);

    protected virtual void WriteRope(ModelOptions model, JsonObject json) => Rope.Write(model, json);

    /// <summary>The feed-forward layer; the last layer's if they differ.</summary>
    protected virtual FeedForwardOptions ReadFeedForward(HuggingFaceConfig config) =>
        new SwiGluOptions { HiddenDim = config.Count("intermediate_size"), Bias = config.Flag("mlp_bias", false) };

    protected virtual void WriteFeedForward(ModelOptions model, JsonObject json) =>
        json["intermediate_size"] = model.FeedForward.Width(model.Dim);

    /// <summary><paramref name="prefix"/> ends with a dot.</summary>
    protected abstract IEnumerable<WeightRule> AttentionRules(ModelOptions model, string module, string prefix);

    protected virtual IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string module, string prefix, int layer) =>
        LayerRules.Gated(module, $"{prefix}mlp.", model.Dim, model.FeedForward.Width(model.Dim), model.FeedForward.Bias ?? model.Bias);

    /// <summary>Whether a tensor in the Hugging Face checkpoint may be missing and is not read.</summary>
    protected virtual bool IsIgnored(ModelOptions model, string tensor) =>
        tensor.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (model.TieEmbeddings && tensor == "lm_head.weight");

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        config.Choice("hidden_act", "silu", new Dictionary<string, bool> { ["silu"] = true, ["swish"] = true });
        AttentionOptions attention = ReadAttention(config);
        Rope rope = ReadRope(config);
        if (rope.Options.Fraction != 1) config.Refuse("partial_rotary_factor", "must be 1: heads are turned whole in this family");
        return new DecoderOptions
        {
            Dim = config.Count("hidden_size"),
            Layers = config.Count("num_hidden_layers"),
            ContextLength = rope.ContextLength,
            TieEmbeddings = config.Flag("tie_word_embeddings", false),
            Attention = attention,
            LayerPattern = ReadLayers(config, attention),
            Position = rope.Options,
            FeedForward = ReadFeedForward(config),
            Norm = new RmsNormOptions { Epsilon = config.Number("rms_norm_eps", DefaultEpsilon) },
        };
    }

    public override JsonObject Write(ModelOptions model)
    {
        JsonObject json = new()
        {
            ["hidden_size"] = model.Dim,
            ["num_hidden_layers"] = model.Layers,
            ["num_attention_heads"] = model.Attention.Heads,
            ["hidden_act"] = "silu",
            ["rms_norm_eps"] = PythonJson.Number(model.Norm.Epsilon),
            ["tie_word_embeddings"] = model.TieEmbeddings,
        };
        WriteAttention(model, json);
        WriteFeedForward(model, json);
        // Heads are rotated whole. Any other fraction is lost here, and so reported as a difference.
        WriteRope(model.Position is RotaryOptions rotary ? model with { Position = rotary with { Fraction = 1 } } : model, json);
        return json;
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "model.",
        Ignored = name => IsIgnored(model, name),
    };

    private IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "model.embed_tokens.weight", vocabulary, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        WeightRule.Copy($"{ModuleNames.Norm}.weight", "model.norm.weight", model.Dim),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];

    private IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string prefix = $"model.layers.{layer}.";
        return
        [
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "input_layernorm", model.Dim, false),
            .. AttentionRules(model, ModuleNames.Block(layer, ModuleNames.Mixer), prefix + "self_attn."),
            .. LayerRules.Norm(
                ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "post_attention_layernorm", model.Dim, false),
            .. FeedForwardRules(model, ModuleNames.Block(layer, ModuleNames.FeedForward), prefix, layer),
        ];
    }
}
