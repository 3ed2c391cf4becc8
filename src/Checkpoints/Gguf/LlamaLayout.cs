// Shapes: H heads, D head dimension, C model dimension, F hidden dimension.
using Trainer.Checkpoints.Weights;
using Trainer.Models;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Llama, Mistral, Qwen 2 and 3; for llama.cpp's <paramref name="interleaved"/> rotary pairs rows are reordered.</summary>
internal sealed class LlamaLayout(string architecture, bool interleaved) : GgufLayout
{
    public override string Architecture => architecture;

    public override void Describe(ModelOptions model, int vocabulary, Action<string, object?> add)
    {
        HeadShape shape = HeadShape.Of(model);
        DescribeSizes(model, vocabulary, add);
        add("attention.key_length", shape.Width);
        add("attention.value_length", shape.Width);
        add("attention.layer_norm_rms_epsilon", (float)model.Norm.Epsilon);
        add("rope.dimension_count", shape.Width);
        add("rope.freq_base", (float)((RotaryOptions)model.Position).Theta);
        DescribeScaling(((RotaryOptions)model.Position).Scaling, add);
        if (model.FeedForward is not ExpertsOptions experts) return;
        add("expert_count", experts.Experts);
        add("expert_used_count", experts.Active);
    }

    public override string? WhyUnsupported(ModelOptions model) => ((RotaryOptions)model.Position).Scaling switch
    {
        _ when model.LayerPattern is not null || model.Attention.ResolvedPattern is not CausalOptions =>
            $"model.attention.pattern is '{model.Attention.ResolvedPattern.Type}', and llama.cpp computes full causal attention in its "
            + $"{architecture} models; use --format huggingface",
        DynamicNtkScaling => "model.position.scaling is 'dynamic-ntk', which llama.cpp does not have; use --format huggingface",
        Llama3Scaling when !interleaved =>
            $"model.position.scaling is 'llama3', which llama.cpp does not have in its {architecture} models; use --format huggingface",
        _ when architecture == "qwen3" && HeadShape.Of(model).OutputBias =>
            "model.attention.outputBias is true, and llama.cpp has none in its qwen3 models; use --format huggingface",
        YarnScaling { Truncate: false } =>
            "model.position.scaling.truncate is false, and llama.cpp rounds the ends of the ramp; use --format huggingface",
        _ => null,
    };

    private static void DescribeScaling(ScalingOptions? scaling, Action<string, object?> add)
    {
        if (scaling is not (LinearScaling or YarnScaling)) return; // Llama 3's is a tensor
        add("rope.scaling.type", scaling is LinearScaling ? "linear" : "yarn");
        add("rope.scaling.factor", (float)scaling.Factor!.Value);
        if (scaling is not YarnScaling yarn) return;
        add("rope.scaling.original_context_length", yarn.OriginalLength);
        add("rope.scaling.yarn_beta_fast", (float)yarn.BetaFast);
        add("rope.scaling.yarn_beta_slow", (float)yarn.BetaSlow);
        // llama.cpp multiplies this by the paper's factor.
        add("rope.scaling.attn_factor", (float)(yarn.AttentionFactor!.Value / (0.1 * Math.Log(yarn.Factor!.Value) + 1)));
    }

    /// <summary>The divisor of each frequency, for a scaling that llama.cpp's settings cannot express.</summary>
    private static IEnumerable<WeightRule> Frequencies(ModelOptions model)
    {
        RotaryOptions rotary = (RotaryOptions)model.Position;
        if (rotary.Scaling is not Llama3Scaling) yield break;
        int width = HeadShape.Of(model).Width;
        double[] plain = RotaryFrequencies.Of(width, rotary.Theta, null, model.ContextLength, model.ContextLength).Angular;
        double[] scaled = RotaryFrequencies.Of(width, rotary.Theta, rotary.Scaling, model.ContextLength, model.ContextLength).Angular;
        float[] divisors = [.. plain.Zip(scaled, (from, to) => (float)(from / to))];
        yield return new(
            [],
            [new("rope_freqs.weight", divisors.Length)],
            (_, _) => throw new NotSupportedException(),
            (_, _) => tensor(divisors));
    }

    public override IEnumerable<WeightRule> Weights(ModelOptions model, int vocabulary) =>
    [
        WeightRule.Copy(ModuleNames.Embedding, "token_embd.weight", vocabulary, model.Dim),
        .. Frequencies(model),
        .. Enumerable.Range(0, model.Layers).SelectMany(layer => Layer(model, layer)),
        WeightRule.Copy($"{ModuleNames.Norm}.weight", "output_norm.weight", model.Dim),
        .. model.TieEmbeddings ? (WeightRule[])[] : [WeightRule.Copy(ModuleNames.Head, "output.weight", vocabulary, model.Dim)],
    ];

    private IEnumerable<WeightRule> Layer(ModelOptions model, int layer)
    {
        HeadShape shape = HeadShape.Of(model);
        string prefix = $"blk.{layer}.", mixer = ModuleNames.Block(layer, ModuleNames.Mixer);
        return
        [
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.MixerNorm), prefix + "attn_norm", model.Dim, false),
            Heads(model, shape, $"{mixer}.projection.qkv.weight", prefix, "weight", model.Dim),
            .. shape.Bias ? (WeightRule[])[Heads(model, shape, $"{mixer}.projection.qkv.bias", prefix, "bias")] : [],
            .. model.Attention.QueryKeyNorm
                ?
                [
                    .. LayerRules.Norm($"{mixer}.projection.queryNorm", prefix + "attn_q_norm", shape.Width, false),
                    .. LayerRules.Norm($"{mixer}.projection.keyNorm", prefix + "attn_k_norm", shape.Width, false),
                ]
                : (WeightRule[])[],
            .. LayerRules.Linear($"{mixer}.output", prefix + "attn_output", model.Dim, shape.Queries, shape.OutputBias),
            .. LayerRules.Norm(ModuleNames.Block(layer, ModuleNames.FeedForwardNorm), prefix + "ffn_norm", model.Dim, false),
            .. FeedForward(model, ModuleNames.Block(layer, ModuleNames.FeedForward), prefix),
        ];
    }

    private static IEnumerable<WeightRule> FeedForward(ModelOptions model, string module, string prefix)
    {
        long width = model.FeedForward.Width(model.Dim);
        bool bias = model.FeedForward.Bias ?? model.Bias;
        if (model.FeedForward is ExpertsOptions experts) return Experts(experts.Experts, width, model.Dim, module, prefix);
        return
        [
            .. LayerRules.Stacked($"{module}.gateUp", model.Dim, bias, ($"{prefix}ffn_gate", width), ($"{prefix}ffn_up", width)),
            .. LayerRules.Linear($"{module}.down", $"{prefix}ffn_down", model.Dim, width, bias),
        ];
    }

    private static IEnumerable<WeightRule> Experts(long experts, long width, long dim, string module, string prefix) =>
    [
        WeightRule.Copy($"{module}.router.weight", $"{prefix}ffn_gate_inp.weight", experts, dim),
        new(
            [new($"{module}.experts.gateUp", experts, 2 * width, dim)],
            [new($"{prefix}ffn_gate_exps.weight", experts, width, dim), new($"{prefix}ffn_up_exps.weight", experts, width, dim)],
            (sources, _) => cat([.. sources], 1), // (E, F, C) twice → (E, 2F, C)
            (sources, index) => sources[0].narrow(1, index * width, width)),
        WeightRule.Copy($"{module}.experts.down", $"{prefix}ffn_down_exps.weight", experts, dim, width),
    ];

    private WeightRule Heads(ModelOptions model, HeadShape shape, string module, string prefix, string kind, params long[] tail)
    {
        (string Name, long Rows)[] parts =
            [($"{prefix}attn_q.{kind}", shape.Queries), ($"{prefix}attn_k.{kind}", shape.Keys), ($"{prefix}attn_v.{kind}", shape.Keys)];
        WeightRule rule = WeightRule.Rows(module, tail, parts);
        if (!interleaved) return rule;
        int[] heads = [shape.Heads, shape.Groups];
        return rule with
        {
            ToNative = (sources, index) =>
                rule.ToNative([Paired(sources[0], heads[0], 2, tail), Paired(sources[1], heads[1], 2, tail), sources[2]], index),
            ToExternal = (sources, index) =>
                index == 2 ? rule.ToExternal(sources, index) : Paired(rule.ToExternal(sources, index), heads[index], -2, tail),
        };
    }

    /// <summary>Reorders the rows of each head from halves to interleaved pairs (−2), or back (2).</summary>
    private static Tensor Paired(Tensor rows, int heads, int direction, long[] tail)
    {
        long half = rows.size(0) / heads / 2;
        long[] split = direction < 0 ? [heads, 2, half, .. tail] : [heads, half, 2, .. tail];
        return rows.reshape(split).transpose(1, 2).reshape([rows.size(0), .. tail]); // (H, 2, D/2, C) → (H, D/2, 2, C), or back
    }
}
