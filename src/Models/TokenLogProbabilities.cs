// Shapes: N tokens, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
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
        long count = targets.size(0), step = CrossEntropy.RowsOfLogits(count, model.VocabularySize);
        if (count == 0) return hidden.new_zeros([0]).MoveToOuterDisposeScope();
        IReadOnlyList<Parameter> head = model.HeadParameters;
        List<Tensor> parts = [];
        for (long first = 0; first < count; first += step)
        {
            long rows = Math.Min(step, count - first);
            Tensor some = hidden.narrow(0, first, rows), aims = targets.narrow(0, first, rows);
            parts.Add(some.requires_grad && is_grad_enabled() ? Checkpointed(model, some, aims, head) : Part(model, some, aims));
        }
        return (parts is [var only] ? only : cat(parts)).MoveToOuterDisposeScope();
    }

    // The backward pass computes the logits again.
    private static Tensor Checkpointed(LanguageModel model, Tensor hidden, Tensor targets, IReadOnlyList<Parameter> head)
    {
        Tensor own = targets.clone().DetachFromDisposeScope();
        return ActivationCheckpoint.Run(some => [Part(model, some, own)], hidden, () => head, own.Dispose)[0];
    }

    private static Tensor Part(LanguageModel model, Tensor hidden, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.LogitsOf(hidden); // (n, V)
        return nn.functional.cross_entropy(logits, targets, reduction: nn.Reduction.None).neg().MoveToOuterDisposeScope();
    }
}
