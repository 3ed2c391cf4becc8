// Shapes: B batch, T positions, N targets, V vocabulary, k most likely tokens.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation;

/// <summary>Computes loss and accuracy on all targets of batches: next tokens, a masked model's hidden tokens, translations. Of several
/// processes with the same model and batches each computes its share, and all get the whole.</summary>
public sealed class TargetEvaluator(LanguageModel model, Tokenizer tokenizer, IProcessGroup? processes = null)
{
    private readonly IProcessGroup group = processes ?? new SingleProcess();

    /// <summary>Evaluates all batches; accuracy is also of the <paramref name="top"/> most likely tokens.</summary>
    /// <exception cref="UserException">There are no targets, or the model's logits are not finite.</exception>
    public TargetReport Evaluate(IEnumerable<Batch> batches, int top = 5)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(top, 1);
        top = Math.Min(top, model.VocabularySize);
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        return Report(batches, top);
    }

    private TargetReport Report(IEnumerable<Batch> batches, int top)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sums = zeros([3], dtype: ScalarType.Float64, device: model.Device); // loss, hits, hits of the first k
        TokenWidths widths = new(tokenizer);
        (long tokens, long bytes, long rows) = (0, 0, 0);
        foreach ((int index, Batch batch) in batches.Index())
        {
            if (index % group.Size != group.Rank) continue;
            Add(sums, batch, top);
            (tokens, bytes, rows) = (tokens + batch.TargetTokens, bytes + widths.Of(batch), rows + batch.Rows);
        }
        group.Sum(sums);
        (tokens, bytes, rows) = (group.Sum(tokens), group.Sum(bytes), group.Sum(rows));
        if (tokens == 0) throw new UserException("there is nothing to score: the data has no token to predict");
        double[] totals = sums.cpu().data<double>().ToArray();
        return new()
        {
            NegativeLogLikelihood = LogitsException.RequireFinite(totals[0]),
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

    // The head need not compute places without a target: most, in a masked model.
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
        tensor([.. Enumerable.Range(0, batch.Targets.Length).Where(place => batch.Targets[place] != Batch.Ignored)
            .Select(place => (long)place)]);
}

/// <summary>The loss and accuracy of a model on the targets of some batches.</summary>
public sealed record TargetReport
{
    /// <summary>Σ −log p over all targets, in nats.</summary>
    public required double NegativeLogLikelihood { get; init; }

    /// <summary>How many targets there were.</summary>
    public required long Tokens { get; init; }

    /// <summary>Bytes of UTF-8 that the targets stand for.</summary>
    public required long Bytes { get; init; }

    /// <summary>Targets that were the most likely token.</summary>
    public required long Correct { get; init; }

    /// <summary>Targets among the <see cref="Top"/> most likely tokens.</summary>
    public required long CorrectInTop { get; init; }

    /// <summary>How many tokens count for <see cref="CorrectInTop"/>.</summary>
    public required int Top { get; init; }

    /// <summary>Rows that were computed.</summary>
    public required long Rows { get; init; }

    /// <summary>The kind of tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Its number of different tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Nats per target.</summary>
    public double MeanLoss => NegativeLogLikelihood / Tokens;

    /// <summary>exp of <see cref="MeanLoss"/>: over all targets, never a mean over batches.</summary>
    public double Perplexity => Math.Exp(MeanLoss);

    /// <summary>Bits per target.</summary>
    public double BitsPerToken => MeanLoss / Math.Log(2);

    /// <summary>Bits per byte of the targets; null if they stand for no text.</summary>
    public double? BitsPerByte => Bytes > 0 ? NegativeLogLikelihood / Math.Log(2) / Bytes : null;

    /// <summary>The share of targets that were the most likely token.</summary>
    public double Accuracy => (double)Correct / Tokens;

    /// <summary>The share of targets among the <see cref="Top"/> most likely tokens.</summary>
    public double TopAccuracy => (double)CorrectInTop / Tokens;
}

/// <summary>A model's logits are not finite, so that no score can be computed.</summary>
internal sealed class LogitsException(string message) : UserException(message)
{
    internal static double RequireFinite(double loss) => double.IsFinite(loss) ? loss : throw new LogitsException(
        $"the negative log-likelihood is {loss}: the model's logits are not finite numbers; " +
        "its weights are damaged or its training diverged");
}
