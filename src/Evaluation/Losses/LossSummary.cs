namespace Trainer.Evaluation.Losses;

/// <summary>How well a model predicted some tokens.</summary>
/// <param name="NegativeLogLikelihood">Σ −log p over all scored tokens, in nats.</param>
/// <param name="Tokens">How many tokens were scored.</param>
public sealed record LossSummary(double NegativeLogLikelihood, long Tokens)
{
    /// <summary>Nats per token: the sum over all tokens divided by their number, never a mean of means.</summary>
    public double MeanLoss => NegativeLogLikelihood / Tokens;

    /// <summary>exp of <see cref="MeanLoss"/>.</summary>
    public double Perplexity => Math.Exp(MeanLoss);
}
