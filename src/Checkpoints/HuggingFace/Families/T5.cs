using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>T5, 1.0 with ReLU and 1.1 with a gated GELU (Raffel et al. 2019, arXiv 1910.10683).</summary>
internal sealed class T5 : Family
{
    // T5 has no limit; this is the length it was trained with.
    private const int TrainedLength = 512;

    public override string ModelType => "t5";

    public override string Architecture => "T5ForConditionalGeneration";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int dim = config.Count("d_model", 512), heads = config.Count("num_heads", 8), layers = config.Count("num_layers", 6);
        bool tied = config.Flag("tie_word_embeddings", true);
        FeedForwardOptions feedForward = config.Choice("feed_forward_proj", "relu", new Dictionary<string, FeedForwardOptions>
        {
            ["relu"] = new ReluOptions(), ["gated-gelu"] = new GeGluTanhOptions(),
        });
        config.Ignore("dropout_rate", "initializer_factor", "dense_act_fn", "is_gated_act", "n_positions", "output_past");
        return new EncoderDecoderOptions
        {
            Dim = dim,
            Layers = config.Count("num_decoder_layers", layers),
            EncoderLayers = layers,
            ContextLength = config.Count("n_positions", TrainedLength),
            TieEmbeddings = tied,
            LogitScale = config.Flag("scale_decoder_outputs", tied) ? 1 / Math.Sqrt(dim) : 1,
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = heads, HeadDim = config.Count("d_kv", 64), Scale = 1 },
            Position = new T5BiasOptions
            {
                Buckets = config.Count("relative_attention_num_buckets", 32),
                MaxDistance = config.Count("relative_attention_max_distance", 128),
            },
            FeedForward = feedForward with { HiddenDim = config.Count("d_ff", 2048) },
            Norm = new RmsNormOptions { Epsilon = config.Number("layer_norm_epsilon", 1e-6) },
        };
    }

    // Version 5 of transformers writes that all models of this family are tied, and ties those whose two matrices are equal.
    public override ModelOptions Read(ModelOptions configured, IWeightSource stored)
    {
        bool hasBoth = stored.Names.Contains("shared.weight") && stored.Names.Contains("lm_head.weight");
        if (!configured.TieEmbeddings || configured.LogitScale != 1 || !hasBoth) return configured;
        using DisposeScope scope = NewDisposeScope();
        Tensor embedding = stored.Read("shared.weight"), head = stored.Read("lm_head.weight");
        bool isTied = embedding.shape.SequenceEqual(head.shape) && embedding.eq(head).all().ToBoolean();
        return configured with { TieEmbeddings = isTied };
    }

    public override JsonObject Write(ModelOptions model)
    {
        T5BiasOptions bias = model.Position as T5BiasOptions ?? new();
        bool gated = model.FeedForward is GeGluTanhOptions;
        return new()
        {
            ["d_model"] = model.Dim,
            ["d_kv"] = (model.Attention as HeadProjectionOptions)?.HeadWidth(model.Dim),
            ["d_ff"] = model.FeedForward.Width(model.Dim),
            ["num_layers"] = (model as EncoderDecoderOptions)?.EncoderLayers ?? model.Layers,
            ["num_decoder_layers"] = model.Layers,
            ["num_heads"] = model.Attention.Heads,
            ["n_positions"] = model.ContextLength,
            ["relative_attention_num_buckets"] = bias.Buckets,
            ["relative_attention_max_distance"] = bias.MaxDistance,
            ["feed_forward_proj"] = gated ? "gated-gelu" : "relu",
            ["dense_act_fn"] = gated ? "gelu_new" : "relu",
            ["is_gated_act"] = gated,
            ["layer_norm_epsilon"] = PythonJson.Number(model.Norm.Epsilon),
            ["tie_word_embeddings"] = model.TieEmbeddings,
            ["scale_decoder_outputs"] = model.LogitScale != 1,
            ["is_encoder_decoder"] = true,
        };
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All((EncoderDecoderOptions)model, vocabulary)])
    {
        Ignored = name => name is "encoder.embed_tokens.weight" or "decoder.embed_tokens.weight"
            // Written by some versions, read by none: cross-attention has no position bias.
            || name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
            || (model.TieEmbeddings && name == "lm_head.weight"),
    };

    private static IEnumerable<WeightRule> All(EncoderDecoderOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "shared.weight", vocabulary, model.Dim),
        .. Stack(model, "encoder", model.EncoderLayers ?? model.Layers),
        .. Stack(model, "decoder", model.Layers),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];

    private static IEnumerable<WeightRule> Stack(ModelOptions model, string side, int layers) =>
    [
        WeightRule.Copy(
            $"{side}.{ModuleNames.Position}", $"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            ((T5BiasOptions)model.Position).Buckets, model.Attention.Heads),
        .. Enumerable.Range(0, layers).SelectMany(
            layer => Layer(model, $"{side}.blocks.{layer}.", $"{side}.block.{layer}.layer.", side == "decoder")),
        .. LayerRules.Norm($"{side}.{ModuleNames.Norm}", $"{side}.final_layer_norm", model.Dim, false),
    ];

    private static IEnumerable<WeightRule> Layer(ModelOptions model, string module, string prefix, bool cross)
    {
        string self = prefix + "0.SelfAttention.", other = prefix + "1.EncDecAttention.";
        string last = prefix + (cross ? "2." : "1."), dense = last + "DenseReluDense.";
        long width = model.FeedForward.Width(model.Dim);
        return
        [
            .. LayerRules.Norm(module + ModuleNames.MixerNorm, prefix + "0.layer_norm", model.Dim, false),
            .. LayerRules.Attention(module + ModuleNames.Mixer, model, self + "q", self + "k", self + "v", self + "o"),
            .. cross
                ? (WeightRule[])
                [
                    .. LayerRules.Norm(module + ModuleNames.CrossNorm, prefix + "1.layer_norm", model.Dim, false),
                    .. LayerRules.CrossAttention(module + ModuleNames.Cross, model, other + "q", other + "k", other + "v", other + "o"),
                ]
                : [],
            .. LayerRules.Norm(module + ModuleNames.FeedForwardNorm, last + "layer_norm", model.Dim, false),
            .. model.FeedForward is GeGluTanhOptions
                ? LayerRules.Stacked(module + "feedForward.gateUp", model.Dim, false, (dense + "wi_0", width), (dense + "wi_1", width))
                : LayerRules.Linear(module + "feedForward.up", dense + "wi", width, model.Dim, false),
            .. LayerRules.Linear(module + "feedForward.down", dense + "wo", model.Dim, width, false),
        ];
    }
}
