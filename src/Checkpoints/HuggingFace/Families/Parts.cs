// Shapes: H query heads, G key-value heads, D head dimension, C model dimension, F hidden dimension.
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Rules of the parts that most families share; a family adds its names.</summary>
internal static class Parts
{
    /// <summary>Weight and bias of a linear layer: both sides (outputs, inputs).</summary>
    public static IEnumerable<WeightRule> Linear(string ours, string theirs, long outputs, long inputs, bool bias) =>
        WithBias(bias, Rules.Copy($"{ours}.weight", $"{theirs}.weight", outputs, inputs), () => Rules.Copy($"{ours}.bias", $"{theirs}.bias", outputs));

    /// <summary>Weight and bias of a norm.</summary>
    public static IEnumerable<WeightRule> Norm(string ours, string theirs, long width, bool bias) =>
        WithBias(bias, Rules.Copy($"{ours}.weight", $"{theirs}.weight", width), () => Rules.Copy($"{ours}.bias", $"{theirs}.bias", width));

    /// <summary>One matrix of ours, several of theirs, one below the other.</summary>
    public static IEnumerable<WeightRule> Stacked(string ours, long inputs, bool bias, params (string Name, long Rows)[] theirs) => WithBias(
        bias,
        Rules.Rows($"{ours}.weight", [inputs], [.. theirs.Select(part => ($"{part.Name}.weight", part.Rows))]),
        () => Rules.Rows($"{ours}.bias", [], [.. theirs.Select(part => ($"{part.Name}.bias", part.Rows))]));

    /// <summary>A gated feed-forward layer, whose gate and up matrices are two of theirs.</summary>
    /// <param name="ours">Our module.</param>
    /// <param name="theirs">Theirs, with its point.</param>
    /// <param name="dim">C</param>
    /// <param name="width">F</param>
    /// <param name="bias">Whether the matrices have biases.</param>
    public static IEnumerable<WeightRule> Gated(string ours, string theirs, long dim, long width, bool bias) =>
    [
        .. Stacked($"{ours}.gateUp", dim, bias, ($"{theirs}gate_proj", width), ($"{theirs}up_proj", width)),
        .. Linear($"{ours}.down", $"{theirs}down_proj", dim, width, bias),
    ];

    /// <summary>Attention of a stack to itself, whose queries, keys and values are three matrices of theirs.</summary>
    /// <param name="mixer">Our module.</param>
    /// <param name="model">The model.</param>
    /// <param name="query">Their names.</param>
    /// <param name="key">Likewise.</param>
    /// <param name="value">Likewise.</param>
    /// <param name="output">Likewise.</param>
    public static IEnumerable<WeightRule> Attention(string mixer, ModelOptions model, string query, string key, string value, string output)
    {
        HeadShape shape = HeadShape.Of(model);
        return
        [
            .. Stacked($"{mixer}.projection.qkv", model.Dim, shape.Bias, (query, shape.Queries), (key, shape.Keys), (value, shape.Keys)),
            .. Linear($"{mixer}.output", output, model.Dim, shape.Queries, shape.OutputBias),
        ];
    }

    /// <summary>Attention to an encoder: queries by themselves, keys and values together.</summary>
    /// <inheritdoc cref="Attention"/>
    /// <param name="cross">Our module.</param>
    /// <param name="model">The model.</param>
    /// <param name="query">Their names.</param>
    /// <param name="key">Likewise.</param>
    /// <param name="value">Likewise.</param>
    /// <param name="output">Likewise.</param>
    public static IEnumerable<WeightRule> CrossAttention(string cross, ModelOptions model, string query, string key, string value, string output)
    {
        HeadShape shape = HeadShape.Of(model);
        return
        [
            .. Linear($"{cross}.projection.query", query, shape.Queries, model.Dim, shape.Bias),
            .. Stacked($"{cross}.projection.keyValue", model.Dim, shape.Bias, (key, shape.Keys), (value, shape.Keys)),
            .. Linear($"{cross}.output", output, model.Dim, shape.Queries, shape.OutputBias),
        ];
    }

    /// <summary>A block of GPT-NeoX or Bloom: biases everywhere, queries, keys and values in one matrix head by head.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">Which layer.</param>
    /// <param name="theirs">Their block, with its point.</param>
    /// <param name="attention">Their name of attention.</param>
    public static IEnumerable<WeightRule> FusedLayer(ModelOptions model, int layer, string theirs, string attention)
    {
        HeadShape shape = HeadShape.Of(model);
        long dim = model.Dim, width = model.FeedForward.Width(model.Dim);
        string qkv = Names.Block(layer, "mixer.projection.qkv"), fused = $"{theirs}{attention}.query_key_value";
        return
        [
            .. Norm(Names.Block(layer, Names.MixerNorm), theirs + "input_layernorm", dim, true),
            Rules.HeadByHead($"{qkv}.weight", $"{fused}.weight", shape.Heads, shape.Width, dim),
            Rules.HeadByHead($"{qkv}.bias", $"{fused}.bias", shape.Heads, shape.Width),
            .. Linear(Names.Block(layer, "mixer.output"), $"{theirs}{attention}.dense", dim, dim, true),
            .. Norm(Names.Block(layer, Names.FeedForwardNorm), theirs + "post_attention_layernorm", dim, true),
            .. Linear(Names.Block(layer, "feedForward.up"), theirs + "mlp.dense_h_to_4h", width, dim, true),
            .. Linear(Names.Block(layer, "feedForward.down"), theirs + "mlp.dense_4h_to_h", dim, width, true),
        ];
    }

    private static IEnumerable<WeightRule> WithBias(bool bias, WeightRule weight, Func<WeightRule> makeBias) => bias ? [weight, makeBias()] : [weight];
}

/// <summary>What the matrices of attention measure.</summary>
/// <param name="Heads">H</param>
/// <param name="Groups">G</param>
/// <param name="Width">D</param>
/// <param name="Bias">Whether queries, keys and values have biases.</param>
/// <param name="OutputBias">Whether the output has one.</param>
internal sealed record HeadShape(int Heads, int Groups, int Width, bool Bias, bool OutputBias)
{
    /// <summary>Rows of queries, H·D.</summary>
    public long Queries => (long)Heads * Width;

    /// <summary>Rows of keys, and of values, G·D.</summary>
    public long Keys => (long)Groups * Width;

    /// <summary>Of a model all of whose layers have heads of one shape.</summary>
    public static HeadShape Of(ModelOptions model)
    {
        HeadProjectionOptions attention = (HeadProjectionOptions)model.Attention;
        return new(attention.Heads, attention.Groups, attention.HeadWidth(model.Dim), attention.Bias ?? model.Bias, attention.OutputBias ?? model.Bias);
    }
}
