// Shapes: N tokens, n of them at once, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Computes what follows from logits with those of a few tokens at a time, and once more in the backward pass: the logits of all
/// tokens are never held at once.</summary>
public static class ChunkedLogits
{
    /// <summary>Of hidden states before the head, (N, C): <paramref name="compute"/> gets logits (n, V), float32, and the same rows of each
    /// of <paramref name="beside"/>, which have N. Its results are returned in the order of rows, in the current dispose scope; none where
    /// there are no rows. Gradients flow to the hidden states and the head.</summary>
    public static IReadOnlyList<Tensor> Map(
        LanguageModel model, Tensor hidden, IReadOnlyList<Tensor> beside, Func<Tensor, IReadOnlyList<Tensor>, Tensor> compute)
    {
        long count = hidden.size(0), step = CrossEntropy.RowsOfLogits(count, model.VocabularySize);
        IReadOnlyList<Parameter> head = model.HeadParameters;
        bool recorded = is_grad_enabled() && (hidden.requires_grad || head.Any(parameter => parameter.requires_grad));
        List<Tensor> results = [];
        for (long first = 0; first < count; first += step)
        {
            long rows = Math.Min(step, count - first);
            Tensor some = hidden.narrow(0, first, rows);
            Tensor[] others = [.. beside.Select(tensor => tensor.narrow(0, first, rows))];
            results.Add(recorded ? Checkpointed(model, some, others, head, compute) : Once(model, some, others, compute));
        }
        return results;
    }

    private static Tensor Checkpointed(
        LanguageModel model, Tensor hidden, Tensor[] beside, IReadOnlyList<Parameter> head,
        Func<Tensor, IReadOnlyList<Tensor>, Tensor> compute)
    {
        foreach (Tensor tensor in beside) tensor.DetachFromDisposeScope(); // until the backward pass is over
        void Release() => Array.ForEach(beside, tensor => tensor.Dispose());
        return ActivationCheckpoint.Run(some => [Once(model, some, beside, compute)], hidden, () => head, Release)[0];
    }

    private static Tensor Once(
        LanguageModel model, Tensor hidden, Tensor[] beside, Func<Tensor, IReadOnlyList<Tensor>, Tensor> compute)
    {
        using DisposeScope scope = NewDisposeScope();
        return compute(model.LogitsOf(hidden), beside).MoveToOuterDisposeScope();
    }
}
