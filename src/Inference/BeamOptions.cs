using Trainer.Configuration;

namespace Trainer.Inference;

/// <summary>How a most likely text is searched for.</summary>
public sealed record BeamOptions : IValidated
{
    /// <summary>How many beginnings are followed at once; 1 is greedy search.</summary>
    public int Beams { get; init; } = 4;

    /// <summary>α of the length penalty ((5 + length) / 6)^α that log probabilities are divided by (Wu et al. 2016, arXiv 1609.08144, eq. 14): 0 prefers
    /// short texts, since every token makes a text less likely; Vaswani et al. 2017 use 0.6.</summary>
    public double LengthPenalty { get; init; } = 0.6;

    /// <summary>The most tokens to write.</summary>
    public int Tokens { get; init; } = 200;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Beams < 1) yield return new("beams", $"beams ({Beams}) must be 1 or more");
        if (!double.IsFinite(LengthPenalty) || LengthPenalty < 0) yield return new("lengthPenalty", $"lengthPenalty ({LengthPenalty}) must be 0 or more");
        if (Tokens < 1) yield return new("tokens", $"tokens ({Tokens}) must be 1 or more");
    }

    /// <summary>What a log probability is divided by.</summary>
    internal double Penalty(int length) => Math.Pow((5.0 + length) / 6, LengthPenalty);
}

/// <summary>A text that a beam search has found.</summary>
/// <param name="Tokens">Its ids, without prompt and end.</param>
/// <param name="LogProbability">Σ log p of its tokens, the end among them where it has one, in nats.</param>
/// <param name="Score"><paramref name="LogProbability"/> over the length penalty.</param>
/// <param name="Ended">Whether it came to its end by itself.</param>
public sealed record Hypothesis(IReadOnlyList<int> Tokens, double LogProbability, double Score, bool Ended);
