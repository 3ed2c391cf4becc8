using System.Globalization;

namespace Trainer.Reporting.Monitoring;

/// <summary>The metrics of an optimizer step.</summary>
public sealed record StepMetrics
{
    /// <summary>Optimizer steps done, this one included; the first step is 1.</summary>
    public required long Step { get; init; }

    /// <summary>Target tokens trained on since the run began, resumed parts included.</summary>
    public required long Tokens { get; init; }

    /// <summary>Training loss, in nats per target token: raw, so NaN when the step went wrong.</summary>
    public required double Loss { get; init; }

    /// <summary>The learning rate of this step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The norm of all gradients together, before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Target tokens per second since the previous record.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Seconds per step, on average since the previous record.</summary>
    public required double StepSeconds { get; init; }

    /// <summary>Model FLOP utilisation, 0 to 1; null where the peak is unknown.</summary>
    public double? ModelFlopUtilisation { get; init; }

    /// <summary>Peak bytes of GPU memory since training started or resumed; null on a CPU.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>Steps skipped since the run began because the loss or the gradients were not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Steps skipped because they were spikes (<c>training.spikes</c>); null where nothing looks for them.</summary>
    public long? SpikeSteps { get; init; }
}

/// <summary>The metrics of an evaluation on the validation set.</summary>
public sealed record EvaluationMetrics
{
    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Mean negative log-likelihood, in nats per token, or what else the run minimises.</summary>
    public required double ValidationLoss { get; init; }

    /// <summary>Whether the loss is that of tokens, which has a perplexity.</summary>
    public bool HasPerplexity { get; init; } = true;

    /// <summary>exp(<see cref="ValidationLoss"/>); null for classes, forecasts and what else has none.</summary>
    public double? Perplexity => HasPerplexity ? Math.Exp(ValidationLoss) : null;

    /// <summary>The lowest validation loss so far, this one included.</summary>
    public required double BestLoss { get; init; }

    /// <summary>The step of <see cref="BestLoss"/>.</summary>
    public required long BestStep { get; init; }

    /// <summary>Whether this evaluation is the best of the run so far.</summary>
    public bool IsBest => BestStep == Step;

    /// <summary>Seconds the evaluation took.</summary>
    public required double Seconds { get; init; }
}

/// <summary>The figures of a scheduled evaluator (<c>evaluation.measures</c>).</summary>
public sealed record EvaluatorMetrics
{
    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>The evaluator's name.</summary>
    public required string Name { get; init; }

    /// <summary>What it measured.</summary>
    public required IReadOnlyList<EvaluatorFigure> Figures { get; init; }

    /// <summary>The figures as lines for the console.</summary>
    public IReadOnlyList<string> Lines { get; init; } = [];

    /// <summary>Texts that the model wrote.</summary>
    public IReadOnlyList<EvaluatorText> Texts { get; init; } = [];

    /// <summary>Seconds the evaluation took.</summary>
    public required double Seconds { get; init; }
}

/// <summary>One figure of an evaluator, such as <c>perplexity</c>, under a condition such as <c>window256-stride64</c>, and at a place: a
/// position in the window, a depth in the prompt. Null where it has none.</summary>
public sealed record EvaluatorFigure(string Name, double Value, string? Condition = null, double? Place = null)
{
    /// <summary>Name, condition and place with slashes between: the end of its tag in TensorBoard, and its key in metrics.jsonl.</summary>
    public string Key => string.Join('/', new[] { Name, Condition, Place?.ToString(CultureInfo.InvariantCulture) }.OfType<string>());
}

/// <summary>A prompt and the text that a model generated.</summary>
public sealed record EvaluatorText(string Prompt, string Text);
