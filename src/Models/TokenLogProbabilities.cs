// Shapes: N tokens, C model dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Logarithms of the probabilities that a model gives to tokens, with gradients, never with the logits of all tokens at once.
/// </summary>
public static class TokenLogProbabilities
{
    /// <summary>Of hidden states before the head (N, C) and the tokens they predict (N), int64: (N), float32, in nats.</summary>
    public static Tensor Of(LanguageModel model, Tensor hidden, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        if (targets.size(0) == 0) return hidden.new_zeros([0]).MoveToOuterDisposeScope();
        IReadOnlyList<Tensor> parts = ChunkedLogits.Map(model, hidden, [targets], (logits, own) =>
            nn.functional.cross_entropy(logits, own[0], reduction: nn.Reduction.None).neg());
        return (parts is [var only] ? only : cat([.. parts])).MoveToOuterDisposeScope();
    }
}
