using System.Text.Json.Serialization;

namespace Trainer.Evaluation.Scoring;

/// <summary>How surprising each token of a text is to a model.</summary>
/// <param name="Tokens">Token ids, T of them.</param>
/// <param name="NegativeLogLikelihood">−log p of each, in nats; <c>null</c> where the model says nothing about it.</param>
public sealed record TokenScores(IReadOnlyList<int> Tokens, IReadOnlyList<double?> NegativeLogLikelihood)
{
    /// <summary>Σ −log p over the scored tokens, in nats.</summary>
    [JsonIgnore]
    public double Total => NegativeLogLikelihood.Sum() ?? 0;

    /// <summary>How many tokens have a score.</summary>
    [JsonIgnore]
    public int Scored => NegativeLogLikelihood.Count(score => score is not null);
}
