using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Bloom (BigScience 2022, arXiv 2211.05100): ALiBi, and a norm after the embeddings.</summary>
internal sealed class Bloom : Family
{
    // The length it was trained with: ALiBi sets no limit, and older configurations do not name it.
    private const int TrainedLength = 2048;

    public override string ModelType => "bloom";

    public override string Architecture => "BloomForCausalLM";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int dim = config.OptionalCount("hidden_size") ?? config.Count("n_embed");
        int heads = config.OptionalCount("n_head") ?? config.Count("num_attention_heads");
        config.Only("apply_residual_connection_post_layernorm", false, "the stream itself is added to, not its norm");
        config.Ignore(
            "n_embed", "n_inner", "num_attention_heads", "num_hidden_layers", "offset_alibi", "pretraining_tp", "slow_but_exact",
            "skip_bias_add", "skip_bias_add_qkv", "attention_softmax_in_fp32", "masked_softmax_fusion", "bias_dropout_fusion",
            "hidden_dropout", "seq_length");
        return new DecoderOptions
        {
            Dim = dim,
            Layers = config.OptionalCount("n_layer") ?? config.Count("num_hidden_layers"),
            ContextLength = config.Count("seq_length", TrainedLength),
            TieEmbeddings = config.Flag("tie_word_embeddings", true),
            Bias = true,
            EmbeddingNorm = true,
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = heads },
            Position = new AlibiOptions(),
            FeedForward = new GeluTanhOptions { HiddenDim = 4 * dim },
            Norm = new LayerNormOptions { Epsilon = config.Number("layer_norm_epsilon", 1e-5) },
        };
    }

    public override JsonObject Write(ModelOptions model) => new()
    {
        ["hidden_size"] = model.Dim,
        ["n_layer"] = model.Layers,
        ["n_head"] = model.Attention.Heads,
        ["seq_length"] = model.ContextLength,
        ["layer_norm_epsilon"] = PythonJson.Number(model.Norm.Epsilon),
        ["apply_residual_connection_post_layernorm"] = false,
        ["tie_word_embeddings"] = model.TieEmbeddings,
    };

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "transformer.",
        Ignored = name => model.TieEmbeddings && name == "lm_head.weight",
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "transformer.word_embeddings.weight", vocabulary, model.Dim),
        .. LayerRules.Norm(ModuleNames.EmbeddingNorm, "transformer.word_embeddings_layernorm", model.Dim, true),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => GptNeoX.Block(model, layer, $"transformer.h.{layer}.", "self_attention")),
        .. LayerRules.Norm(ModuleNames.Norm, "transformer.ln_f", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];
}
