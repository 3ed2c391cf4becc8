using Trainer.Distributed;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Profiling;

namespace Trainer.Training;

/// <summary>What to train, and where: <c>Resume</c> continues from the newest whole checkpoint of <c>RunDirectory</c>, if there is one, and
/// prepared data is in <c>DatasetsDirectory</c>.</summary>
public sealed record TrainingRequest(
    Recipe Recipe, string RunDirectory, bool Resume = false, string DatasetsDirectory = TrainingRequest.DefaultDatasetsDirectory)
{
    /// <summary>Relative to the working directory.</summary>
    public const string DefaultDatasetsDirectory = "datasets";

    /// <summary>The processes that train together; null for this one alone. Each calls <see cref="TrainingSession"/> with the same
    /// request, and the first writes the run's files. One that fails has to call <see cref="IProcessGroup.Abort"/>: the others wait for
    /// it.</summary>
    public IProcessGroup? Processes { get; init; }

    /// <summary>The step after which to end, with a checkpoint; null for <c>training.steps</c>, which the schedule keeps to in any case: a
    /// run that ends here and is resumed is the run that did not.</summary>
    public long? Until { get; init; }

    /// <summary>The steps to time; null for none. A breakdown and a trace are written to the run's folder <c>profile</c>.</summary>
    public ProfileRange? Profile { get; init; }
}

/// <summary>How a run ended.</summary>
public enum TrainingOutcome
{
    /// <summary>All steps are done.</summary>
    Completed,

    /// <summary>Asked to stop, with a checkpoint saved.</summary>
    Interrupted,

    /// <summary>The steps up to <see cref="TrainingRequest.Until"/> are done, with a checkpoint saved.</summary>
    Paused,
}

/// <summary>Where a run stands when it ends: optimizer steps done, target tokens trained on, the lowest validation loss in nats per token
/// and its step, null without an evaluation, and steps skipped because they were not finite.</summary>
public sealed record TrainingResult(TrainingOutcome Outcome, long Step, long Tokens, double? BestLoss, long? BestStep, long SkippedSteps)
{
    /// <summary>What <see cref="Tokens"/> counts.</summary>
    public CountedUnit Unit { get; init; } = CountedUnit.Tokens;

    /// <summary>The most bytes that weights, gradients, moments and activations took, as the log says; null where none was trained.</summary>
    public long? PeakTensorBytes { get; init; }
}
