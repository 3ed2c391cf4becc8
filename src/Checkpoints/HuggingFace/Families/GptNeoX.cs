using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Norms;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>GPT-NeoX and Pythia (Black et al. 2022, arXiv 2204.06745): attention and feed-forward layer side by side, a quarter of each head turned.</summary>
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
            FeedForward = Activations.Plain(config, "hidden_act", "gelu", config.Count("intermediate_size")),
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
            ["hidden_act"] = Activations.Name(model.FeedForward),
            ["layer_norm_eps"] = Real.Json(model.Norm.Epsilon),
            ["use_parallel_residual"] = model.ParallelResidual,
            ["attention_bias"] = true,
            ["tie_word_embeddings"] = model.TieEmbeddings,
        };
        if (model.Position is RotaryOptions rotary) (json["rotary_pct"], json["rotary_emb_base"]) = (Real.Json(rotary.Fraction), Real.Json(rotary.Theta));
        Rope.Write(model, json);
        return json;
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "gpt_neox.",
        Ignored = name => name.EndsWith(".attention.bias", StringComparison.Ordinal) || name.EndsWith(".attention.masked_bias", StringComparison.Ordinal)
            || name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (model.TieEmbeddings && name == "embed_out.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        Rules.Copy(Names.Embedding, "gpt_neox.embed_in.weight", vocabulary, model.Dim),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Parts.FusedLayer(model, layer, $"gpt_neox.layers.{layer}.", "attention")),
        .. Parts.Norm(Names.Norm, "gpt_neox.final_layer_norm", model.Dim, true),
        .. model.TieEmbeddings ? (WeightRule[])[] : [Rules.Copy(Names.Head, "embed_out.weight", vocabulary, model.Dim)],
    ];
}
