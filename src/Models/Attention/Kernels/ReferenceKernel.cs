// Shapes: B batch, T query positions, S key positions, H query heads, G key-value heads, D head dimension.
using Trainer.Kernels;
using static TorchSharp.torch.nn;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>softmax(scale·QKᵀ + bias + mask)V, step by step with O(T·S) memory (Vaswani et al. 2017, §3.2.1): the specification.</summary>
internal sealed class ReferenceKernel : IAttentionKernel
{
    public string Name => "reference";

    public string? WhyUnsupported(AttentionOptions options, int headDim) => null;

    public string? WhyUnsupported(in AttentionCall call) => null;

    public Tensor Attend(in AttentionCall call)
    {
        Tensor weights = Weights(call).to_type(call.Value.dtype); // (B, H, T, S)
        if (call.Dropout.Probability > 0) weights = CounterDropout.Apply(weights, call.Dropout);
        return KeyValueHeads.Product(weights, call.Value); // (B, H, T, D)
    }

    public static Tensor Weights(in AttentionCall call) // (B, H, T, S), float32
    {
        // The scale goes on the queries, the smallest tensor.
        Tensor scores = KeyValueHeads.Product(call.Query.mul(call.Scale), call.Key.transpose(2, 3)); // (B, H, T, S)
        if (call.SoftCap is { } cap) scores = scores.div(cap).tanh().mul(cap);
        if (call.Bias is { } bias) scores = scores.add(bias.Over(call.Queries, call.Keys));
        if (!call.SeesEverything) scores = scores.masked_fill(call.Mask().logical_not(), float.NegativeInfinity);
        return functional.softmax(scores, -1, ScalarType.Float32);
    }
}

internal static class KeyValueHeads
{
    /// <summary>(B, H, T, X)·(B, G, X, Y) → (B, H, T, Y), consecutive query heads sharing a key-value head, which is not copied.</summary>
    public static Tensor Product(Tensor heads, Tensor shared)
    {
        long[] shape = heads.shape;
        if (shape[1] == shared.size(1)) return heads.matmul(shared);
        Tensor rows = heads.reshape(shape[0], shared.size(1), shape[1] / shared.size(1) * shape[2], shape[3]); // (B, G, H/G·T, X)
        return rows.matmul(shared).view(shape[0], shape[1], shape[2], shared.size(3));
    }

    /// <summary>(B, G, S, D) → (B, H, S, D) for consecutive query heads to share (repeat_interleave). A view if G is 1 or H.</summary>
    public static Tensor Repeat(Tensor heads, int sharing)
    {
        if (sharing == 1) return heads;
        long[] shape = heads.shape;
        if (shape[1] == 1) return heads.expand(shape[0], sharing, shape[2], shape[3]);
        return heads.unsqueeze(2)
            .expand(shape[0], shape[1], sharing, shape[2], shape[3])
            .reshape(shape[0], shape[1] * sharing, shape[2], shape[3]);
    }
}
