using System.Collections.Frozen;
using Trainer.Configuration;

namespace Trainer.Inference.Serving;

/// <summary>What a <see cref="GenerationEngine"/> is asked to generate.</summary>
public sealed record GenerationRequest
{
    /// <summary>Token ids to continue, at least one; for an encoder-decoder what its decoder begins with.</summary>
    public required IReadOnlyList<int> Prompt { get; init; }

    /// <summary>Token ids that an encoder-decoder reads; null for a decoder.</summary>
    public IReadOnlyList<int>? Source { get; init; }

    /// <summary>Whether the text goes on from the prompt, so that a space between the two is part of it; false where it stands for
    /// itself, as an answer does.</summary>
    public bool ContinuesText { get; init; }

    /// <summary>Which of the model's adapters generates; null for its own weights.</summary>
    public string? Adapter { get; init; }

    /// <summary>The most tokens to generate. The context bounds them too.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    /// <summary>How each token is drawn.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>Subtracted from a token's logit for each time that it was generated; 0 for none.</summary>
    public double FrequencyPenalty { get; init; }

    /// <summary>Subtracted from a token's logit once it was generated; 0 for none.</summary>
    public double PresencePenalty { get; init; }

    /// <summary>Added to the logits of tokens, by id.</summary>
    public IReadOnlyDictionary<int, double> LogitBias { get; init; } = FrozenDictionary<int, double>.Empty;

    /// <summary>Tokens that end the text, and are not part of it.</summary>
    public IReadOnlySet<int> StopTokens { get; init; } = FrozenSet<int>.Empty;

    /// <summary>Tokens that may be generated, but are no text.</summary>
    public IReadOnlySet<int> HiddenTokens { get; init; } = FrozenSet<int>.Empty;

    /// <summary>How many tokens are handed over at a time; waking their reader for each costs as much as a small model's token.</summary>
    public int StreamInterval { get; init; } = 1;

    /// <summary>How many of the most likely tokens to report for each token; null for no log-probabilities at all.</summary>
    public int? TopLogProbabilities { get; init; }
}

/// <summary>One generated token.</summary>
/// <param name="Id">Its id; −1 where the text ends without one: the last element of a text whose last token was not drawn.</param>
/// <param name="LogProbability">ln p in the model's own distribution, before penalties and temperature; NaN where it was not asked
/// for.</param>
/// <param name="Alternatives">The most likely tokens, the likeliest first.</param>
/// <param name="Finish">Why the text ends with this element; null where it goes on.</param>
public readonly record struct GeneratedToken(
    int Id, double LogProbability, IReadOnlyList<(int Id, double LogProbability)> Alternatives, FinishReason? Finish);

/// <summary>Why a text ended.</summary>
public enum FinishReason
{
    /// <summary>A stop token was drawn.</summary>
    Stop,

    /// <summary>The most tokens that were asked for, or the context is full.</summary>
    Length,
}

/// <summary>The queue is full: try again later.</summary>
/// <param name="message">How many wait.</param>
public sealed class EngineBusyException(string message) : UserException(message);
