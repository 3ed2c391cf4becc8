using System.Text.Json.Nodes;
using Trainer.Conversion.Weights;
using Trainer.Transformers;
using Trainer.Transformers.Attention.Projections;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;

namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>Llama 1 to 3 (Touvron et al. 2023; Dubey et al. 2024), and what its sisters share: root-mean-square norms before each branch, rotary positions,
/// grouped-query attention, SwiGLU.</summary>
internal class Llama : Family
{
    public override string ModelType => "llama";

    public override string Architecture => "LlamaForCausalLM";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int dim = config.Count("hidden_size"), heads = config.Count("num_attention_heads");
        config.Only("attention_bias", false, "attention with biases beside a feed-forward layer without is not supported");
        config.Only("mlp_bias", false, "a feed-forward layer with biases beside norms without is not supported");
        config.Choice("hidden_act", "silu", new Dictionary<string, bool> { ["silu"] = true });
        return new DecoderOptions
        {
            Dim = dim,
            Layers = config.Count("num_hidden_layers"),
            ContextLength = config.Count("max_position_embeddings"),
            TieEmbeddings = config.Flag("tie_word_embeddings", false),
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = config.Count("num_key_value_heads", heads) },
            Position = RopeSettings.Read(config),
            FeedForward = new SwiGluOptions { HiddenDim = config.Count("intermediate_size") },
            Norm = new RmsNormOptions(),
        };
    }

    public override JsonObject Write(ModelOptions model)
    {
        HeadProjectionOptions? attention = model.Attention as HeadProjectionOptions;
        JsonObject json = new()
        {
            ["hidden_size"] = model.Dim,
            ["num_hidden_layers"] = model.Layers,
            ["num_attention_heads"] = model.Attention.Heads,
            ["num_key_value_heads"] = attention?.Groups,
            ["head_dim"] = attention?.HeadDim(model.Dim),
            ["intermediate_size"] = model.FeedForward.Width(model.Dim),
            ["hidden_act"] = "silu",
            ["max_position_embeddings"] = model.ContextLength,
            ["rms_norm_eps"] = 1e-5,
            ["tie_word_embeddings"] = model.TieEmbeddings,
            ["attention_bias"] = false,
            ["mlp_bias"] = false,
        };
        RopeSettings.Write(model, json);
        return json;
    }

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "model.",
        Ignored = name => name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (model.TieEmbeddings && name == "lm_head.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary)
    {
        yield return Rules.Copy(Names.Embedding, "model.embed_tokens.weight", vocabulary, model.Dim);
        for (int layer = 0; layer < model.Layers; layer++)
            foreach (WeightRule rule in Layer(model, layer))
                yield return rule;
        yield return Rules.Copy($"{Names.Norm}.weight", "model.norm.weight", model.Dim);
        if (!model.TieEmbeddings) yield return Rules.Copy(Names.Head, "lm_head.weight", vocabulary, model.Dim);
    }

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        HeadProjectionOptions attention = (HeadProjectionOptions)model.Attention;
        string theirs = $"model.layers.{layer}.";
        long dim = model.Dim, head = attention.HeadDim(model.Dim), queries = attention.Heads * head, keys = attention.Groups * head, width = model.FeedForward.Width(model.Dim);
        yield return Rules.Copy(Names.Block(layer, $"{Names.MixerNorm}.weight"), theirs + "input_layernorm.weight", dim);
        yield return Rules.Rows(Names.Block(layer, $"{Names.Qkv}.weight"), [dim],
            (theirs + "self_attn.q_proj.weight", queries), (theirs + "self_attn.k_proj.weight", keys), (theirs + "self_attn.v_proj.weight", keys));
        yield return Rules.Copy(Names.Block(layer, $"{Names.Output}.weight"), theirs + "self_attn.o_proj.weight", dim, queries);
        yield return Rules.Copy(Names.Block(layer, $"{Names.FeedForwardNorm}.weight"), theirs + "post_attention_layernorm.weight", dim);
        yield return Rules.Rows(Names.Block(layer, $"{Names.GateUp}.weight"), [dim], (theirs + "mlp.gate_proj.weight", width), (theirs + "mlp.up_proj.weight", width));
        yield return Rules.Copy(Names.Block(layer, $"{Names.Down}.weight"), theirs + "mlp.down_proj.weight", dim, width);
    }
}
