// Shapes: B batch, T positions, N targets, V vocabulary, k most likely tokens.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation.Targets;

/// <summary>Measures loss and accuracy on the targets of batches, each target once: next tokens, the hidden tokens of a masked model, translations.</summary>
/// <remarks>Sums stay on the device until the end.</remarks>
/// <param name="model">The model; measured in evaluation mode and left in the mode it was in.</param>
/// <param name="tokenizer">The tokenizer of the text: for bits per byte.</param>
public sealed class TargetMeter(LanguageModel model, Tokenizer tokenizer)
{
    /// <summary>Looks at every target of every batch once.</summary>
    /// <param name="batches">What to predict; batches and their rows may differ in size.</param>
    /// <param name="top">How many of the most likely tokens count for the second accuracy.</param>
    /// <returns>The figures over all targets.</returns>
    /// <exception cref="UserException">There are no targets, or the model's logits are not numbers.</exception>
    public TargetReport Measure(IEnumerable<Batch> batches, int top = 5)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(top, 1);
        top = Math.Min(top, model.VocabularySize);
        bool training = model.training;
        model.eval();
        try
        {
            using IDisposable inference = inference_mode();
            return Report(batches, top);
        }
        finally
        {
            model.train(training);
        }
    }

    private TargetReport Report(IEnumerable<Batch> batches, int top)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sums = zeros([3], dtype: ScalarType.Float64, device: model.Device); // loss, hits, hits of the first k
        TokenWidths widths = new(tokenizer);
        (long tokens, long bytes, long rows) = (0, 0, 0);
        foreach (Batch batch in batches)
        {
            Add(sums, batch, top);
            (tokens, bytes, rows) = (tokens + batch.TargetTokens, bytes + widths.Of(batch), rows + batch.Rows);
        }
        if (tokens == 0) throw new UserException("there is nothing to score: the data has no token to predict");
        double[] totals = sums.cpu().data<double>().ToArray();
        return new()
        {
            NegativeLogLikelihood = LogitsCheck.Finite(totals[0]),
            Tokens = tokens,
            Bytes = bytes,
            Correct = (long)totals[1],
            CorrectInTop = (long)totals[2],
            Top = top,
            Rows = rows,
            Tokenizer = tokenizer.Type,
            VocabularySize = tokenizer.VocabularySize,
        };
    }

    // The head is spared the places without a target: of a masked model they are most.
    private void Add(Tensor sums, Batch batch, int top)
    {
        using DisposeScope scope = NewDisposeScope();
        if (batch.TargetTokens == 0) return;
        (ModelInput input, Tensor targets) = batch.ToTensors(model.Device); // (B, T)
        Tensor places = Places(batch).to(model.Device); // (N)
        targets = targets.reshape(-1).index_select(0, places); // (B, T) → (N)
        Tensor logits = model.LogitsAt(input, places); // (N, V)
        Tensor loss = functional.cross_entropy(logits, targets, reduction: Reduction.Sum);
        Tensor hits = logits.topk(top).indexes.eq(targets.unsqueeze(-1)); // (N, k), the most likely first
        sums.add_(stack([.. new[] { loss, hits.select(-1, 0).sum(), hits.sum() }.Select(sum => sum.to(ScalarType.Float64))]));
    }
    private static Tensor Places(Batch batch) =>
        tensor([.. Enumerable.Range(0, batch.Targets.Length).Where(place => batch.Targets[place] != Batch.Ignored).Select(place => (long)place)]);
}
