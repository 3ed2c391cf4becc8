// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, R = H/G query heads of a key-value head, D width of a key, E width
// of a value, N chunks of C positions. Values carry one more column of ones, so that a sum over them ends in its own normaliser.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch.nn;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Linear attention (Katharopoulos et al. 2020): O(T) time and memory, and a constant state in decoding.</summary>
/// <remarks>Weights trained with softmax attention do not fit it, so <c>auto</c> never takes it. There is no 1/√D: a factor before φ would
/// only be another initialisation.</remarks>
internal sealed class LinearKernel : IAttentionKernel
{
    public string Name => "linear";

    public string? WhyUnsupported(AttentionOptions options, int headDim) =>
        options.ResolvedPattern.Build().Shape == PatternShape.Masked
            ? $"linear sums over all earlier positions and cannot leave some out as pattern '{options.ResolvedPattern.Type}' does; use " +
                "pattern 'causal' ('full' in an encoder), or kernel 'block-sparse'"
        : options.SoftCap is not null
            ? "linear has no scores to bound (softCap); leave softCap out, or use kernel 'reference'"
        : options.ScalableSoftmax || options.Temperature is not null
            ? $"linear has no softmax to sharpen ({(options.ScalableSoftmax ? "scalableSoftmax" : "temperature")}); leave that out, or " +
                "use kernel 'auto'"
        : options.Scale is not null
            ? "linear has no scores to scale (scale); leave scale out, or use kernel 'auto'"
        : null;

    public string? WhyUnsupported(in AttentionCall call)
    {
        if (call.Bias is not null)
            return "linear has no scores to add these positions' bias to; set position to 'rotary' or 'none', or kernel to 'auto'";
        if (call.Documents is not null)
            return "linear sums over a whole row and cannot keep documents or padding in it apart; use rows of one document without " +
                "padding, or kernel 'auto'";
        return call.Dropout.Probability > 0
            ? $"linear has no weights to drop (dropout {call.Dropout.Probability}); set dropout to 0, or kernel to 'auto'"
            : null;
    }

    // auto promises softmax attention.
    public bool IsPreferred(in AttentionCall call) => false;

    public Tensor Attend(in AttentionCall call) => call.Sums is { } sums ? sums.Attend(call.Query, call.Key, call.Value)
        : call.Pattern.Shape == PatternShape.Full
        ? LinearAttention.Full(call.Query, call.Key, call.Value)
        : LinearAttention.Causal(call.Query, call.Key, call.Value).Result;

    public Tensor Weights(in AttentionCall call) =>
        LinearAttention.Weights(call.Query, call.Key, call.SeesEverything ? null : call.Mask());
}

/// <summary>φ(q)ᵀ·Σφ(k)vᵀ / φ(q)ᵀ·Σφ(k) with φ(x) = elu(x) + 1, in float32 (Katharopoulos et al. 2020, arXiv 2006.16236).</summary>
internal static class LinearAttention
{
    // Pairs within a chunk and sums between chunks cost about the same at 64, for heads of 64.
    private const int ChunkLength = 64;

    // As in the paper's code: φ(k) of very negative keys, and their sum, vanish in float32.
    private const double Smallest = 1e-6;

    /// <summary>Every query sees every key: (B, H, T, D), (B, G, S, D), (B, G, S, E) → (B, H, T, E), in the query's type.</summary>
    public static Tensor Full(Tensor query, Tensor key, Tensor value)
    {
        Tensor sum = Features(key).transpose(2, 3).matmul(WithOnes(value)); // (B, G, D, E+1)
        Tensor result = Grouped(Features(query), key.size(1)).matmul(sum.unsqueeze(2)); // (B, G, R, T, E+1)
        return Normalised(result, query);
    }

    /// <summary>As <see cref="Full"/>, each query seeing keys up to its own and Σφ(k)[v, 1]ᵀ of earlier ones, (B, G, D, E+1).</summary>
    public static (Tensor Result, Tensor Sum) Causal(Tensor query, Tensor key, Tensor value, Tensor? sum = null)
    {
        Tensor queries = Grouped(Features(query), key.size(1)), keys = Features(key), values = WithOnes(value);
        long length = query.size(2), whole = length / ChunkLength * ChunkLength;
        List<Tensor> results = [];
        if (whole > 0) Run(0, whole, ChunkLength);
        if (whole < length) Run(whole, length - whole, length - whole);
        return (Normalised(results.Count == 1 ? results[0] : cat([.. results], 3), query), sum!);

        void Run(long start, long count, long chunk)
        {
            (Tensor result, sum) = Chunks(
                queries.narrow(3, start, count), keys.narrow(2, start, count), values.narrow(2, start, count), chunk, sum);
            results.Add(result);
        }
    }

    /// <summary>The weights that the sums imply, (B, H, T, S), float32; the mask <paramref name="visible"/> is bool (T, S).</summary>
    public static Tensor Weights(Tensor query, Tensor key, Tensor? visible)
    {
        Tensor repeated = KeyValueHeads.Repeat(Features(key), (int)(query.size(1) / key.size(1))); // (B, H, S, D)
        Tensor weights = Features(query).matmul(repeated.transpose(2, 3)); // (B, H, T, S)
        if (visible is not null) weights = weights.mul(visible.to_type(ScalarType.Float32));
        return weights.div(weights.sum(-1, keepdim: true).add(Smallest));
    }

    private static (Tensor Result, Tensor Sum) Chunks(Tensor query, Tensor key, Tensor value, long length, Tensor? before)
    {
        long chunks = key.size(2) / length;
        query = query.reshape(query.size(0), query.size(1), query.size(2), chunks, length, query.size(4)); // (B, G, R, N, C, D)
        key = key.reshape(key.size(0), key.size(1), chunks, length, key.size(3)); // (B, G, N, C, D)
        value = value.reshape(value.size(0), value.size(1), chunks, length, value.size(3)); // (B, G, N, C, E+1)
        Tensor sums = key.transpose(3, 4).matmul(value).cumsum(2); // (B, G, N, D, E+1), up to and with each chunk
        if (before is not null) sums = sums.add(before.unsqueeze(2));
        Tensor first = before is null ? zeros_like(sums.narrow(2, 0, 1)) : before.unsqueeze(2);
        Tensor earlier = chunks == 1 ? first : cat([first, sums.narrow(2, 0, chunks - 1)], 2); // (B, G, N, D, E+1), before each chunk
        Tensor within = query.matmul(key.transpose(3, 4).unsqueeze(2)).tril().matmul(value.unsqueeze(2)); // (B, G, R, N, C, E+1)
        Tensor result = within.add(query.matmul(earlier.unsqueeze(2))); // (B, G, R, N, C, E+1)
        return (result.flatten(3, 4), sums.select(2, chunks - 1));
    }

    // φ(x) = elu(x) + 1: x + 1 above 0, eˣ below, always positive.
    private static Tensor Features(Tensor heads)
    {
        Tensor x = heads.to_type(ScalarType.Float32);
        return functional.relu(x).add(x.clamp(max: 0).exp());
    }

    private static Tensor WithOnes(Tensor value)
    {
        Tensor values = value.to_type(ScalarType.Float32);
        return cat([values, ones_like(values.narrow(3, 0, 1))], 3); // (B, G, S, E) → (B, G, S, E+1)
    }

    private static Tensor Grouped(Tensor query, long groups) =>
        query.reshape(query.size(0), groups, query.size(1) / groups, query.size(2), query.size(3)); // (B, H, T, D) → (B, G, R, T, D)

    private static Tensor Normalised(Tensor sums, Tensor query)
    {
        long width = sums.size(4) - 1;
        Tensor result = sums.narrow(4, 0, width).div(sums.narrow(4, width, 1).add(Smallest)); // (B, G, R, T, E)
        return result.reshape(query.size(0), query.size(1), query.size(2), width).to_type(query.dtype); // (B, H, T, E)
    }
}
