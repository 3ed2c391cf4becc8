using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>BART (Lewis et al. 2019, arXiv 1910.13461). Imports drop the first two rows of position tables, which no token reads.</summary>
internal sealed class Bart : Family
{
    // Position 0 is in row 2, as in the code BART was first published with.
    private const int UnusedPositions = 2;

    private const double Epsilon = 1e-5;

    public override string ModelType => "bart";

    public override string Architecture => "BartForConditionalGeneration";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int heads = config.Count("decoder_attention_heads", 16), width = config.Count("decoder_ffn_dim", 4096);
        if (config.Count("encoder_attention_heads", 16) != heads)
            config.Refuse("encoder_attention_heads", $"must be decoder_attention_heads ({heads})");
        if (config.Count("encoder_ffn_dim", 4096) != width) config.Refuse("encoder_ffn_dim", $"must be decoder_ffn_dim ({width})");
        config.Only("normalize_before", false, "norms stand after each branch in this family");
        config.Only("add_final_layer_norm", false, "no norm follows the last block in this family");
        config.Only("normalize_embedding", true, "a norm follows the embeddings in this family");
        config.Only("static_position_embeddings", false, "positions are learned in this family");
        config.Only("tie_word_embeddings", true, "the head shares the embedding's weight in this family");
        config.Ignore(
            "num_hidden_layers", "activation_dropout", "dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std", "classif_dropout",
            "classifier_dropout", "extra_pos_embeddings", "force_bos_token_to_be_generated", "normalize_before", "add_bias_logits");
        return new EncoderDecoderOptions
        {
            Dim = config.Count("d_model", 1024),
            Layers = config.Count("decoder_layers", 12),
            EncoderLayers = config.Count("encoder_layers", 12),
            ContextLength = config.Count("max_position_embeddings", 1024),
            TieEmbeddings = true,
            Bias = true,
            HeadBias = true,
            EmbeddingNorm = true,
            ScaleEmbeddings = config.Flag("scale_embedding", false),
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = heads },
            Position = new LearnedOptions(),
            FeedForward = ActivationNames.Read(config, "activation_function", "gelu", width),
            Norm = new LayerNormOptions { Placement = NormPlacement.Post, Epsilon = Epsilon },
        };
    }

    public override JsonObject Write(ModelOptions model)
    {
        int width = model.FeedForward.Width(model.Dim);
        return new()
        {
            ["d_model"] = model.Dim,
            ["encoder_layers"] = (model as EncoderDecoderOptions)?.EncoderLayers ?? model.Layers,
            ["decoder_layers"] = model.Layers,
            ["num_hidden_layers"] = (model as EncoderDecoderOptions)?.EncoderLayers ?? model.Layers,
            ["encoder_attention_heads"] = model.Attention.Heads,
            ["decoder_attention_heads"] = model.Attention.Heads,
            ["encoder_ffn_dim"] = width,
            ["decoder_ffn_dim"] = width,
            ["activation_function"] = ActivationNames.Of(model.FeedForward),
            ["max_position_embeddings"] = model.ContextLength,
            ["scale_embedding"] = model.ScaleEmbeddings,
            ["tie_word_embeddings"] = true,
            ["is_encoder_decoder"] = true,
        };
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All((EncoderDecoderOptions)model, vocabulary)])
    {
        BasePrefix = "model.",
        Renamed = name => name == "model.decoder.embed_tokens.weight" ? "model.shared.weight" : name,
        Zeros = ["final_logits_bias"], // which files of a model without a head lack
        Ignored = name => name is "model.encoder.embed_tokens.weight" or "model.decoder.embed_tokens.weight" or "lm_head.weight",
    };

    private static IEnumerable<WeightRule> All(EncoderDecoderOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "model.shared.weight", vocabulary, model.Dim),
        .. Stack(model, "encoder", model.EncoderLayers ?? model.Layers, cross: false),
        .. Stack(model, "decoder", model.Layers, cross: true),
        WeightRule.Reshaped(new(ModuleNames.HeadBias, vocabulary), new("final_logits_bias", 1, vocabulary)),
    ];

    private static IEnumerable<WeightRule> Stack(ModelOptions model, string side, int layers, bool cross) =>
    [
        Positions(model, side),
        .. LayerRules.Norm($"{side}.{ModuleNames.EmbeddingNorm}", $"model.{side}.layernorm_embedding", model.Dim, true),
        .. Enumerable.Range(0, layers).SelectMany(layer => Layer(model, $"{side}.blocks.{layer}.", $"model.{side}.layers.{layer}.", cross)),
    ];

    private static WeightRule Positions(ModelOptions model, string side)
    {
        long dim = model.Dim;
        return new(
            [new($"{side}.{ModuleNames.Position}", model.ContextLength, dim)],
            [new($"model.{side}.embed_positions.weight", model.ContextLength + UnusedPositions, dim)],
            (sources, _) => sources[0].narrow(0, UnusedPositions, model.ContextLength),
            (sources, _) => TorchSharp.torch.cat([TorchSharp.torch.zeros(UnusedPositions, dim), sources[0]], 0));
    }

    private static IEnumerable<WeightRule> Layer(ModelOptions model, string module, string prefix, bool cross)
    {
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. LayerRules.Attention(
                module + ModuleNames.Mixer, model, prefix + "self_attn.q_proj", prefix + "self_attn.k_proj", prefix + "self_attn.v_proj",
                prefix + "self_attn.out_proj"),
            .. LayerRules.Norm(module + ModuleNames.MixerNorm, prefix + "self_attn_layer_norm", dim, true),
            .. cross
                ? (WeightRule[])
                [
                    .. LayerRules.CrossAttention(
                        module + ModuleNames.Cross, model, prefix + "encoder_attn.q_proj", prefix + "encoder_attn.k_proj",
                        prefix + "encoder_attn.v_proj", prefix + "encoder_attn.out_proj"),
                    .. LayerRules.Norm(module + ModuleNames.CrossNorm, prefix + "encoder_attn_layer_norm", dim, true),
                ]
                : [],
            .. LayerRules.Linear(module + "feedForward.up", prefix + "fc1", width, dim, true),
            .. LayerRules.Linear(module + "feedForward.down", prefix + "fc2", dim, width, true),
            .. LayerRules.Norm(module + ModuleNames.FeedForwardNorm, prefix + "final_layer_norm", dim, true),
        ];
    }
}
