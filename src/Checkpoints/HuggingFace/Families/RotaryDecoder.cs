using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Norms;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>What Llama's descendants share, whatever their attention: root-mean-square norms before each branch, rotary positions, SwiGLU, and the names of
/// all that.</summary>
internal abstract class RotaryDecoder : Family
{
    /// <summary>ε of the norms where a configuration does not say it.</summary>
    protected virtual double DefaultEpsilon => 1e-6;

    /// <summary>Attention of all layers.</summary>
    protected abstract AttentionOptions ReadAttention(HuggingFaceConfig config);

    /// <summary>Adds what <see cref="ReadAttention"/> reads, as far as the family has it.</summary>
    protected abstract void WriteAttention(ModelOptions model, JsonObject json);

    /// <summary>Layers that differ from the others; null where all are alike.</summary>
    protected virtual IReadOnlyList<LayerGroupOptions>? ReadLayers(HuggingFaceConfig config, AttentionOptions attention) => null;

    /// <summary>The positions.</summary>
    protected virtual Rope ReadRope(HuggingFaceConfig config) => Rope.Read(config);

    /// <summary>Adds what <see cref="ReadRope"/> reads.</summary>
    protected virtual void WriteRope(ModelOptions model, JsonObject json) => Rope.Write(model, json);

    /// <summary>The feed-forward layer; of the last layer where they differ.</summary>
    protected virtual FeedForwardOptions ReadFeedForward(HuggingFaceConfig config) =>
        new SwiGluOptions { HiddenDim = config.Count("intermediate_size"), Bias = config.Flag("mlp_bias", false) };

    /// <summary>Adds what <see cref="ReadFeedForward"/> reads.</summary>
    protected virtual void WriteFeedForward(ModelOptions model, JsonObject json) => json["intermediate_size"] = model.FeedForward.Width(model.Dim);

    /// <summary>The weights of attention.</summary>
    /// <param name="model">The model.</param>
    /// <param name="ours">Our module.</param>
    /// <param name="theirs">Theirs, with its point.</param>
    protected abstract IEnumerable<WeightRule> AttentionRules(ModelOptions model, string ours, string theirs);

    /// <summary>The weights of a layer's feed-forward part.</summary>
    /// <param name="model">The model.</param>
    /// <param name="ours">Our module.</param>
    /// <param name="theirs">Their block, with its point.</param>
    /// <param name="layer">Which layer.</param>
    protected virtual IEnumerable<WeightRule> FeedForwardRules(ModelOptions model, string ours, string theirs, int layer) =>
        Parts.Gated(ours, $"{theirs}mlp.", model.Dim, model.FeedForward.Width(model.Dim), model.FeedForward.Bias ?? model.Bias);

    /// <summary>Tensors of theirs that are not read.</summary>
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
            ["rms_norm_eps"] = Real.Json(model.Norm.Epsilon),
            ["tie_word_embeddings"] = model.TieEmbeddings,
        };
        WriteAttention(model, json);
        WriteFeedForward(model, json);
        // Heads are turned whole: another fraction is lost, and therefore named.
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
        Rules.Copy(Names.Embedding, "model.embed_tokens.weight", vocabulary, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        Rules.Copy($"{Names.Norm}.weight", "model.norm.weight", model.Dim),
        .. model.TieEmbeddings ? (WeightRule[])[] : [Rules.Copy(Names.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];

    private IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string theirs = $"model.layers.{layer}.";
        return
        [
            .. Parts.Norm(Names.Block(layer, Names.MixerNorm), theirs + "input_layernorm", model.Dim, false),
            .. AttentionRules(model, Names.Block(layer, Names.Mixer), theirs + "self_attn."),
            .. Parts.Norm(Names.Block(layer, Names.FeedForwardNorm), theirs + "post_attention_layernorm", model.Dim, false),
            .. FeedForwardRules(model, Names.Block(layer, Names.FeedForward), theirs, layer),
        ];
    }
}
