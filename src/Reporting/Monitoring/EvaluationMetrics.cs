namespace Trainer.Reporting.Monitoring;

/// <summary>The outcome of one evaluation on the validation set.</summary>
public sealed record EvaluationMetrics
{
    /// <summary>Optimizer steps done when the model was evaluated.</summary>
    public required long Step { get; init; }

    /// <summary>Mean negative log-likelihood over the validation tokens, in nats per token.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>exp(<see cref="ValidationLoss"/>).</summary>
    public double Perplexity => Math.Exp(ValidationLoss);

    /// <summary>The lowest validation loss of the run so far, this evaluation included.</summary>
    public required double BestLoss { get; init; }

    /// <summary>The step of <see cref="BestLoss"/>.</summary>
    public required long BestStep { get; init; }

    /// <summary>Whether this evaluation is the best of the run so far.</summary>
    public bool IsBest => BestStep == Step;

    /// <summary>How long the evaluation took, in seconds.</summary>
    public required double Seconds { get; init; }
}
