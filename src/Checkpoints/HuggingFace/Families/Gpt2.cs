using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Norms;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>GPT-2 (Radford et al. 2019). Its matrices lie the other way round, for its Conv1D multiplies x·W.</summary>
internal sealed class Gpt2 : Family
{
    public override string ModelType => "gpt2";

    public override string Architecture => "GPT2LMHeadModel";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int dim = config.Count("n_embd");
        config.Only("scale_attn_weights", true, "scores are always divided by √(width of a head)");
        config.Only("scale_attn_by_inverse_layer_idx", false, "scores scaled by layer are not supported");
        config.Only("add_cross_attention", false, "attention to an encoder is not supported in this family");
        config.Unused("reorder_and_upcast_attn", "attn_pdrop", "embd_pdrop", "resid_pdrop", "n_ctx",
            "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj");
        return new DecoderOptions
        {
            Dim = dim,
            Layers = config.Count("n_layer"),
            ContextLength = config.Count("n_positions"),
            TieEmbeddings = config.Flag("tie_word_embeddings", true),
            Bias = true,
            Attention = new GroupedQueryOptions { Heads = config.Count("n_head"), KeyValueHeads = config.Count("n_head") },
            Position = new LearnedOptions(),
            FeedForward = Activations.Plain(config, "activation_function", "gelu_new", config.OptionalCount("n_inner") ?? 4 * dim),
            Norm = new LayerNormOptions { Epsilon = config.Number("layer_norm_epsilon", 1e-5) },
        };
    }

    public override JsonObject Write(ModelOptions model) => new()
    {
        ["n_embd"] = model.Dim,
        ["n_layer"] = model.Layers,
        ["n_head"] = model.Attention.Heads,
        ["n_positions"] = model.ContextLength,
        ["n_inner"] = model.FeedForward.Width(model.Dim),
        ["activation_function"] = Activations.Name(model.FeedForward),
        ["layer_norm_epsilon"] = Real.Json(model.Norm.Epsilon),
        ["tie_word_embeddings"] = model.TieEmbeddings,
    };

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "transformer.",
        Ignored = name => name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal)
            || (model.TieEmbeddings && name == "lm_head.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        Rules.Copy(Names.Embedding, "transformer.wte.weight", vocabulary, model.Dim),
        Rules.Copy(Names.Position, "transformer.wpe.weight", model.ContextLength, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        .. Parts.Norm(Names.Norm, "transformer.ln_f", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [Rules.Copy(Names.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string theirs = $"transformer.h.{layer}.";
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. Parts.Norm(Names.Block(layer, Names.MixerNorm), theirs + "ln_1", dim, true),
            .. Turned(Names.Block(layer, "mixer.projection.qkv"), theirs + "attn.c_attn", 3 * dim, dim),
            .. Turned(Names.Block(layer, "mixer.output"), theirs + "attn.c_proj", dim, dim),
            .. Parts.Norm(Names.Block(layer, Names.FeedForwardNorm), theirs + "ln_2", dim, true),
            .. Turned(Names.Block(layer, "feedForward.up"), theirs + "mlp.c_fc", width, dim),
            .. Turned(Names.Block(layer, "feedForward.down"), theirs + "mlp.c_proj", dim, width),
        ];
    }

    private static WeightRule[] Turned(string ours, string theirs, long outputs, long inputs) =>
        [Rules.Transposed($"{ours}.weight", $"{theirs}.weight", outputs, inputs), Rules.Copy($"{ours}.bias", $"{theirs}.bias", outputs)];
}
