// Shapes: B batch, T new positions, S visible positions, H query heads, G key-value heads, D head dimension.
using Trainer.Kernels;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Models.Attention.Kernels;

/// <summary>softmax(scale·QKᵀ + bias + mask)V, step by step (Vaswani et al. 2017, §3.2.1): the specification. O(T·S) memory.</summary>
internal sealed class ReferenceKernel : IAttentionKernel
{
    public string Name => "reference";

    public string? RefusesConfiguration(AttentionOptions options, int headDim) => null;

    public string? RefusesCall(in AttentionCall call) => null;

    public Tensor Attend(in AttentionCall call)
    {
        Tensor weights = Weights(call).to_type(call.Value.dtype); // (B, H, T, S)
        if (call.Dropout.Probability > 0) weights = CounterDropout.Apply(weights, call.Dropout);
        return weights.matmul(KeyValueHeads.Repeat(call.Value, call.Sharing)); // (B, H, T, D)
    }

    /// <summary>How much each query looks at each key: (B, H, T, S), float32, rows sum to 1.</summary>
    public static Tensor Weights(in AttentionCall call)
    {
        Tensor key = KeyValueHeads.Repeat(call.Key, call.Sharing); // (B, H, S, D)
        // The scale goes on the queries, the smallest of the tensors it could go on.
        Tensor scores = call.Query.mul(call.Scale).matmul(key.transpose(2, 3)); // (B, H, T, S)
        if (call.SoftCap is { } cap) scores = scores.div(cap).tanh().mul(cap);
        if (call.Bias is { } bias) scores = scores.add(bias.Over(call.Queries, call.Keys));
        if (!call.SeesEverything) scores = scores.masked_fill(call.Mask().logical_not(), float.NegativeInfinity);
        return functional.softmax(scores, -1, ScalarType.Float32);
    }
}
