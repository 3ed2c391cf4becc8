namespace Trainer.Evaluation.Targets;

/// <summary>How well a model predicted the targets of some batches.</summary>
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

    /// <summary>exp of <see cref="MeanLoss"/>: of the sum over all targets divided by their number, never a mean over batches.</summary>
    public double Perplexity => Math.Exp(MeanLoss);

    /// <summary>Bits per target.</summary>
    public double BitsPerToken => MeanLoss / Math.Log(2);

    /// <summary>Bits per byte of the targets; <c>null</c> where they stand for no text.</summary>
    public double? BitsPerByte => Bytes > 0 ? NegativeLogLikelihood / Math.Log(2) / Bytes : null;

    /// <summary>The share of targets that were the most likely token.</summary>
    public double Accuracy => (double)Correct / Tokens;

    /// <summary>The share of targets among the <see cref="Top"/> most likely tokens.</summary>
    public double TopAccuracy => (double)CorrectInTop / Tokens;
}
