namespace Trainer.Training;

/// <summary>How a run ended.</summary>
public enum TrainingOutcome
{
    /// <summary>All steps are done.</summary>
    Completed,

    /// <summary>It was asked to stop, and saved a checkpoint.</summary>
    Interrupted,
}

/// <summary>Where a run stands when <c>train</c> ends.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Tokens">Target tokens trained on.</param>
/// <param name="BestLoss">The lowest validation loss, in nats per token; <c>null</c> if none was measured.</param>
/// <param name="BestStep">Its step.</param>
/// <param name="SkippedSteps">Steps whose update was skipped because they were not finite.</param>
public sealed record TrainingResult(
    TrainingOutcome Outcome, long Step, long Tokens, double? BestLoss, long? BestStep, long SkippedSteps);
