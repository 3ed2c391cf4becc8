// Shapes: H query heads, G key-value heads, D head dimension, C model dimension, F hidden dimension.
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Checkpoints.Weights;

/// <summary>Rules for layers that most families share, from the module's name here and its name or prefix in a family.</summary>
internal static class LayerRules
{
    public static IEnumerable<WeightRule> Linear(string module, string external, long outputs, long inputs, bool bias) => WithBias(
        bias,
        WeightRule.Copy($"{module}.weight", $"{external}.weight", outputs, inputs),
        () => WeightRule.Copy($"{module}.bias", $"{external}.bias", outputs));

    public static IEnumerable<WeightRule> Norm(string module, string external, long width, bool bias) => WithBias(
        bias,
        WeightRule.Copy($"{module}.weight", $"{external}.weight", width),
        () => WeightRule.Copy($"{module}.bias", $"{external}.bias", width));

    /// <summary>A linear layer here that is several of the other format, concatenated by rows.</summary>
    public static IEnumerable<WeightRule> Stacked(string module, long inputs, bool bias, params (string Name, long Rows)[] external)
    {
        return WithBias(bias, Rows("weight", [inputs]), () => Rows("bias", []));

        WeightRule Rows(string kind, long[] tail) =>
            WeightRule.Rows($"{module}.{kind}", tail, [.. external.Select(part => ($"{part.Name}.{kind}", part.Rows))]);
    }

    /// <summary>A gated feed-forward layer, gate and up being two matrices there; <paramref name="prefix"/> ends with a dot.</summary>
    public static IEnumerable<WeightRule> Gated(string module, string prefix, long dim, long width, bool bias) =>
    [
        .. Stacked($"{module}.gateUp", dim, bias, ($"{prefix}gate_proj", width), ($"{prefix}up_proj", width)),
        .. Linear($"{module}.down", $"{prefix}down_proj", dim, width, bias),
    ];

    /// <summary>Self-attention whose queries, keys and values are three matrices in the other format.</summary>
    public static IEnumerable<WeightRule> Attention(string mixer, ModelOptions model, string query, string key, string value, string output)
    {
        HeadShape shape = HeadShape.Of(model);
        return
        [
            .. Stacked($"{mixer}.projection.qkv", model.Dim, shape.Bias, (query, shape.Queries), (key, shape.Keys), (value, shape.Keys)),
            .. Linear($"{mixer}.output", output, model.Dim, shape.Queries, shape.OutputBias),
        ];
    }

    public static IEnumerable<WeightRule> CrossAttention(
        string cross, ModelOptions model, string query, string key, string value, string output)
    {
        HeadShape shape = HeadShape.Of(model);
        return
        [
            .. Linear($"{cross}.projection.query", query, shape.Queries, model.Dim, shape.Bias),
            .. Stacked($"{cross}.projection.keyValue", model.Dim, shape.Bias, (key, shape.Keys), (value, shape.Keys)),
            .. Linear($"{cross}.output", output, model.Dim, shape.Queries, shape.OutputBias),
        ];
    }

    private static IEnumerable<WeightRule> WithBias(bool bias, WeightRule weight, Func<WeightRule> makeBias) =>
        bias ? [weight, makeBias()] : [weight];
}

internal sealed record HeadShape(int Heads, int Groups, int Width, bool Bias, bool OutputBias)
{
    public long Queries => (long)Heads * Width;

    public long Keys => (long)Groups * Width;

    public static HeadShape Of(ModelOptions model)
    {
        HeadProjectionOptions attention = (HeadProjectionOptions)model.Attention;
        return new(
            attention.Heads,
            attention.Groups,
            attention.HeadWidth(model.Dim),
            attention.Bias ?? model.Bias,
            attention.OutputBias ?? model.Bias);
    }
}

internal static class ModuleNames
{
    public const string Embedding = "embedding.weight";
    public const string Position = "position.weight";
    public const string EmbeddingNorm = "embeddingNorm";
    public const string Norm = "norm";
    public const string Head = "head.weight";
    public const string HeadBias = "head.bias";
    public const string HeadTransform = "head.transform.dense";
    public const string HeadTransformNorm = "head.transform.norm";

    public const string MixerNorm = "mixerNorm";
    public const string Mixer = "mixer";
    public const string Cross = "cross";
    public const string CrossNorm = "crossNorm";
    public const string FeedForwardNorm = "feedForwardNorm";
    public const string FeedForward = "feedForward";

    public static string Block(int layer, string module) => $"blocks.{layer}.{module}";
}
