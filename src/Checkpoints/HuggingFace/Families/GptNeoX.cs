using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>GPT-NeoX and Pythia (Black et al. 2022, arXiv 2204.06745): parallel branches, a quarter of each head rotated.</summary>
internal sealed class GptNeoX : Family
{
    public override string ModelType => "gpt_neox";

    public override string Architecture => "GPTNeoXForCausalLM";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads");
        config.Only("attention_bias", true, "attention without biases beside other layers with them is not supported");
        Rope rope = Rope.Read(config, config.Number("rotary_emb_base", 10000), config.Number("rotary_pct", 0.25));
        return new DecoderOptions
        {
            Dim = config.Count("hidden_size"),
            Layers = config.Count("num_hidden_layers"),
            ContextLength = rope.ContextLength,
            TieEmbeddings = config.Flag("tie_word_embeddings", false),
            Bias = true,
            ParallelResidual = config.Flag("use_parallel_residual", true),
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = heads },
            Position = rope.Options,
            FeedForward = ActivationNames.Read(config, "hidden_act", "gelu", config.Count("intermediate_size")),
            Norm = new LayerNormOptions { Epsilon = config.Number("layer_norm_eps", 1e-5) },
        };
    }

    public override JsonObject Write(ModelOptions model)
    {
        JsonObject json = new()
        {
            ["hidden_size"] = model.Dim,
            ["num_hidden_layers"] = model.Layers,
            ["num_attention_heads"] = model.Attention.Heads,
            ["intermediate_size"] = model.FeedForward.Width(model.Dim),
            ["hidden_act"] = ActivationNames.Of(model.FeedForward),
            ["layer_norm_eps"] = PythonJson.Number(model.Norm.Epsilon),
            ["use_parallel_residual"] = model.ParallelResidual,
            ["attention_bias"] = true,
            ["tie_word_embeddings"] = model.TieEmbeddings,
        };
        if (model.Position is RotaryOptions rotary)
            (json["rotary_pct"], json["rotary_emb_base"]) = (PythonJson.Number(rotary.Fraction), PythonJson.Number(rotary.Theta));
        Rope.Write(model, json);
        return json;
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "gpt_neox.",
        Ignored = name =>
            name.EndsWith(".attention.bias", StringComparison.Ordinal) || name.EndsWith(".attention.masked_bias", StringComparison.Ordinal)
            || name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (model.TieEmbeddings && name == "embed_out.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "gpt_neox.embed_in.weight", vocabulary, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Block(model, layer, $"gpt_neox.layers.{layer}.", "attention")),
        .. LayerRules.Norm(ModuleNames.Norm, "gpt_neox.final_layer_norm", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "embed_out.weight", vocabulary, model.Dim)],
    ];

    /// <summary>A block, queries, keys and values fused head by head, as in Bloom; <paramref name="prefix"/> ends with a dot.</summary>
    internal static IEnumerable<WeightRule> Block(ModelOptions model, int layer, string prefix, string attention)
    {
        HeadShape shape = HeadShape.Of(model);
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        string qkv = ModuleNames.Block(layer, "mixer.projection.qkv"), fused = $"{prefix}{attention}.query_key_value";
        return
        [
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "input_layernorm", dim, true),
            WeightRule.HeadByHead($"{qkv}.weight", $"{fused}.weight", shape.Heads, shape.Width, dim),
            WeightRule.HeadByHead($"{qkv}.bias", $"{fused}.bias", shape.Heads, shape.Width),
            .. LayerRules.Linear(ModuleNames.Block(layer, "mixer.output"), $"{prefix}{attention}.dense", dim, dim, true),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "post_attention_layernorm", dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.up"), prefix + "mlp.dense_h_to_4h", width, dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.down"), prefix + "mlp.dense_4h_to_h", dim, width, true),
        ];
    }
}
