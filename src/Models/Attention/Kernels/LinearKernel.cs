using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Linear attention (Katharopoulos et al. 2020): time and memory O(T), and a memory of constant size while decoding.</summary>
/// <remarks>It is another function than softmax attention, not a faster way to the same: <c>auto</c> never takes it, and weights
/// trained with the one do not serve the other. Queries and keys that rotary positions have turned are taken as they come. There
/// is no 1/√D: a factor before φ would only be another initialisation.</remarks>
internal sealed class LinearKernel : IAttentionKernel
{
    public string Name => "linear";

    public string? RefusesConfiguration(AttentionOptions options, int headDim) =>
        options.ResolvedPattern.Build().Shape == PatternShape.Masked
            ? $"linear sums over all earlier positions and cannot leave some out as pattern '{options.ResolvedPattern.Type}' does; use pattern 'causal' ('full' in an encoder), or kernel 'block-sparse'"
        : options.SoftCap is not null
            ? "linear has no scores to bound (softCap); leave softCap out, or use kernel 'reference'"
        : options.ScalableSoftmax || options.Temperature is not null
            ? $"linear has no softmax to sharpen ({(options.ScalableSoftmax ? "scalableSoftmax" : "temperature")}); leave that out, or use kernel 'auto'"
        : options.Scale is not null
            ? "linear has no scores to scale (scale); leave scale out, or use kernel 'auto'"
        : null;

    public string? RefusesCall(in AttentionCall call)
    {
        if (call.Bias is not null)
            return "linear has no scores to add these positions' bias to; set position to 'rotary' or 'none', or kernel to 'auto'";
        if (call.Documents is not null)
            return "linear sums over a whole row and cannot keep documents or padding in it apart; use rows of one document without padding, or kernel 'auto'";
        return call.Dropout.Probability > 0
            ? $"linear has no weights to drop (dropout {call.Dropout.Probability}); set dropout to 0, or kernel to 'auto'"
            : null;
    }

    // It is not what auto promises: softmax attention.
    public bool Pays(in AttentionCall call) => false;

    public Tensor Attend(in AttentionCall call) => call.Pattern.Shape == PatternShape.Full
        ? LinearAttention.Full(call.Query, call.Key, call.Value)
        : LinearAttention.Causal(call.Query, call.Key, call.Value).Result;

    public Tensor Weights(in AttentionCall call) =>
        LinearAttention.Weights(call.Query, call.Key, call.SeesEverything ? null : call.Mask());
}
