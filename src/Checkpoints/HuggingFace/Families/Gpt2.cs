using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>GPT-2 (Radford et al. 2019). Its matrices are transposed, because its Conv1D multiplies x·W.</summary>
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
        config.Ignore("reorder_and_upcast_attn", "attn_pdrop", "embd_pdrop", "resid_pdrop", "n_ctx",
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
            FeedForward = ActivationNames.Read(config, "activation_function", "gelu_new", config.OptionalCount("n_inner") ?? 4 * dim),
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
        ["activation_function"] = ActivationNames.Of(model.FeedForward),
        ["layer_norm_epsilon"] = PythonJson.Number(model.Norm.Epsilon),
        ["tie_word_embeddings"] = model.TieEmbeddings,
    };

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "transformer.",
        Ignored = name =>
            name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal)
            || (model.TieEmbeddings && name == "lm_head.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "transformer.wte.weight", vocabulary, model.Dim),
        WeightRule.Copy(ModuleNames.Position, "transformer.wpe.weight", model.ContextLength, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        .. LayerRules.Norm(ModuleNames.Norm, "transformer.ln_f", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "lm_head.weight", vocabulary, model.Dim)],
    ];

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string prefix = $"transformer.h.{layer}.";
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "ln_1", dim, true),
            .. Conv1D(ModuleNames.Block(layer, "mixer.projection.qkv"), prefix + "attn.c_attn", 3 * dim, dim),
            .. Conv1D(ModuleNames.Block(layer, "mixer.output"), prefix + "attn.c_proj", dim, dim),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "ln_2", dim, true),
            .. Conv1D(ModuleNames.Block(layer, "feedForward.up"), prefix + "mlp.c_fc", width, dim),
            .. Conv1D(ModuleNames.Block(layer, "feedForward.down"), prefix + "mlp.c_proj", dim, width),
        ];
    }

    private static WeightRule[] Conv1D(string module, string external, long outputs, long inputs) =>
    [
        WeightRule.Transposed($"{module}.weight", $"{external}.weight", outputs, inputs),
        WeightRule.Copy($"{module}.bias", $"{external}.bias", outputs),
    ];
}
