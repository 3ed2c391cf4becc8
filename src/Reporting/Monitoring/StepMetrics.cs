namespace Trainer.Reporting.Monitoring;

/// <summary>What is known after an optimizer step.</summary>
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

    /// <summary>Norm of all gradients together, before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>Target tokens a second since the previous record.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>Seconds a step took, on average since the previous record.</summary>
    public required double StepSeconds { get; init; }

    /// <summary>Share of the device's peak arithmetic that the model's own operations used, 0 to 1; null where the peak is unknown.</summary>
    public double? ModelFlopUtilisation { get; init; }

    /// <summary>The most bytes of a GPU's memory that tensors took at once since training began or went on; null on a CPU.</summary>
    public long? PeakMemoryBytes { get; init; }

    /// <summary>Steps whose update was skipped because the loss or the gradients were not finite, since the run began.</summary>
    public long SkippedSteps { get; init; }
}
