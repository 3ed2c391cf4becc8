using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>BERT (Devlin et al. 2018, arXiv 1810.04805) with its head for masked tokens.</summary>
/// <remarks>Texts here are single: imports add the vector of token type 0 to each position's, and exports write zeros for types.</remarks>
internal sealed class Bert : Family
{
    public override string ModelType => "bert";

    public override string Architecture => "BertForMaskedLM";

    public override ModelOptions Read(HuggingFaceConfig config)
    {
        int heads = config.Count("num_attention_heads", 12);
        config.Only("is_decoder", false, "a BERT that generates is not supported");
        config.Only("add_cross_attention", false, "attention to an encoder is not supported in this family");
        config.Choice("position_embedding_type", "absolute", new Dictionary<string, bool> { ["absolute"] = true });
        if (config.Count("type_vocab_size", 2) != 2) config.Refuse("type_vocab_size", "must be 2");
        return new EncoderOptions
        {
            Dim = config.Count("hidden_size", 768),
            Layers = config.Count("num_hidden_layers", 12),
            ContextLength = config.Count("max_position_embeddings", 512),
            TieEmbeddings = config.Flag("tie_word_embeddings", true),
            Bias = true,
            EmbeddingNorm = true,
            HeadBias = true,
            HeadTransform = true,
            Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = heads },
            Position = new LearnedOptions(),
            // The head for masked tokens has the same activation, and here GELU.
            FeedForward = config.Choice("hidden_act", "gelu", new Dictionary<string, GeluOptions> { ["gelu"] = new() }) with
            {
                HiddenDim = config.Count("intermediate_size", 3072),
            },
            Norm = new LayerNormOptions { Placement = NormPlacement.Post, Epsilon = config.Number("layer_norm_eps", 1e-12) },
        };
    }

    public override JsonObject Write(ModelOptions model) => new()
    {
        ["hidden_size"] = model.Dim,
        ["num_hidden_layers"] = model.Layers,
        ["num_attention_heads"] = model.Attention.Heads,
        ["intermediate_size"] = model.FeedForward.Width(model.Dim),
        ["hidden_act"] = ActivationNames.Of(model.FeedForward),
        ["max_position_embeddings"] = model.ContextLength,
        ["position_embedding_type"] = "absolute",
        ["type_vocab_size"] = 2,
        ["layer_norm_eps"] = PythonJson.Number(model.Norm.Epsilon),
        ["tie_word_embeddings"] = model.TieEmbeddings,
    };

    public override WeightMap Weights(ModelOptions model, int vocabulary) => new([.. All(model, vocabulary)])
    {
        BasePrefix = "bert.",
        // TensorFlow's names, in files that were made of its checkpoints.
        Renamed = name => name.EndsWith(".LayerNorm.gamma", StringComparison.Ordinal) ? name[..^5] + "weight"
            : name.EndsWith(".LayerNorm.beta", StringComparison.Ordinal) ? name[..^4] + "bias" : name,
        Ignored = name =>
            name.StartsWith("bert.pooler.", StringComparison.Ordinal) || name.StartsWith("cls.seq_relationship.", StringComparison.Ordinal)
            || name == "bert.embeddings.position_ids" || name == "cls.predictions.decoder.bias"
            || (model.TieEmbeddings && name == "cls.predictions.decoder.weight"),
    };

    private static IEnumerable<WeightRule> All(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "bert.embeddings.word_embeddings.weight", vocabulary, model.Dim),
        Positions(model),
        .. LayerRules.Norm(ModuleNames.EmbeddingNorm, "bert.embeddings.LayerNorm", model.Dim, true),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        .. LayerRules.Linear(ModuleNames.HeadTransform, "cls.predictions.transform.dense", model.Dim, model.Dim, true),
        .. LayerRules.Norm(ModuleNames.HeadTransformNorm, "cls.predictions.transform.LayerNorm", model.Dim, true),
        WeightRule.Copy(ModuleNames.HeadBias, "cls.predictions.bias", vocabulary),
        .. model.TieEmbeddings
            ? (WeightRule[])[]
            : [WeightRule.Copy(ModuleNames.Head, "cls.predictions.decoder.weight", vocabulary, model.Dim)],
    ];

    private static WeightRule Positions(ModelOptions model) => new(
        [new(ModuleNames.Position, model.ContextLength, model.Dim)],
        [
            new("bert.embeddings.position_embeddings.weight", model.ContextLength, model.Dim),
            new("bert.embeddings.token_type_embeddings.weight", 2, model.Dim),
        ],
        (sources, _) => sources[0].add(sources[1].narrow(0, 0, 1)),
        (sources, index) => index == 0 ? sources[0].alias() : sources[0].narrow(0, 0, 2).mul(0));

    private static IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        string prefix = $"bert.encoder.layer.{layer}.";
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        return
        [
            .. LayerRules.Attention(
                ModuleNames.Block(layer, ModuleNames.Mixer), model, prefix + "attention.self.query", prefix + "attention.self.key",
                prefix + "attention.self.value", prefix + "attention.output.dense"),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "attention.output.LayerNorm", dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.up"), prefix + "intermediate.dense", width, dim, true),
            .. LayerRules.Linear(ModuleNames.Block(layer, "feedForward.down"), prefix + "output.dense", dim, width, true),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "output.LayerNorm", dim, true),
        ];
    }
}
