// Shapes: B batch, T query positions, S key positions, H heads.
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>How much each position looked at each other one, in one attention layer.</summary>
/// <param name="Stack">The stack of blocks: <c>decoder</c> or <c>encoder</c>.</param>
/// <param name="Layer">The layer in it, from 0.</param>
/// <param name="Cross">Whether the keys are an encoder's.</param>
/// <param name="Weights">(B, H, T, S), float32; rows sum to 1.</param>
public sealed record AttentionWeights(string Stack, int Layer, bool Cross, Tensor Weights);

/// <summary>Listens to the attention weights of a forward pass.</summary>
internal interface IAttentionObserver
{
    /// <summary>Takes the weights of one layer, (B, H, T, S).</summary>
    void Observe(int layer, bool cross, Tensor weights);
}

/// <summary>Keeps the weights of one stack, out of the scopes they were made in.</summary>
internal sealed class AttentionRecorder(string stack, List<AttentionWeights> records) : IAttentionObserver
{
    public void Observe(int layer, bool cross, Tensor weights) => records.Add(new(stack, layer, cross, weights.DetachFromDisposeScope()));
}
