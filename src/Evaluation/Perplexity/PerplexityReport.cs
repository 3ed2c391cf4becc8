namespace Trainer.Evaluation.Perplexity;

/// <summary>How well a model predicts a text, and all that the figure depends on.</summary>
public sealed record PerplexityReport
{
    /// <summary>Σ −log p over all scored tokens, each scored once, in nats.</summary>
    public required double NegativeLogLikelihood { get; init; }

    /// <summary>How many tokens were scored.</summary>
    public required long Tokens { get; init; }

    /// <summary>Bytes of UTF-8 that the scored tokens stand for.</summary>
    public required long Bytes { get; init; }

    /// <summary>Tokens that were the most likely one.</summary>
    public required long Correct { get; init; }

    /// <summary>The share of tokens that were the most likely one.</summary>
    public double Accuracy => (double)Correct / Tokens;

    /// <summary>Nats per token.</summary>
    public double MeanLoss => NegativeLogLikelihood / Tokens;

    /// <summary>exp of <see cref="MeanLoss"/>: of the sum over all tokens divided by their number, never a mean over windows.</summary>
    public double Perplexity => Math.Exp(MeanLoss);

    /// <summary>Bits per token.</summary>
    public double BitsPerToken => MeanLoss / Math.Log(2);

    /// <summary>Bits per byte of text, which compares across tokenizers; <c>null</c> where the tokens stand for no text.</summary>
    public double? BitsPerByte => Bytes > 0 ? NegativeLogLikelihood / Math.Log(2) / Bytes : null;

    /// <summary>Tokens that the model was given at once.</summary>
    public required int Window { get; init; }

    /// <summary>Tokens between the beginnings of windows.</summary>
    public required int Stride { get; init; }

    /// <summary>How many of the first tokens of a window the model read together and was not asked for; 1 for the first alone.</summary>
    public required int Prefix { get; init; }

    /// <summary>How many windows were computed.</summary>
    public required long Windows { get; init; }

    /// <summary>Whether documents were scored one by one.</summary>
    public required bool DocumentsApart { get; init; }

    /// <summary>How many documents the text has.</summary>
    public required long Documents { get; init; }

    /// <summary>The id of the token before the text; <c>null</c>: none, and the first token of what is scored together is context only.</summary>
    public required int? BeginningToken { get; init; }

    /// <summary>Whether every window begins with it.</summary>
    public required bool BeginningInEveryWindow { get; init; }

    /// <summary>The kind of tokenizer.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Its number of different tokens.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The loss by how many tokens a token was predicted from.</summary>
    public required IReadOnlyList<PositionLoss> ByPosition { get; init; }
}
