using Trainer.Models;

namespace Trainer.Reporting.Monitoring;

/// <summary>Somewhere that a training run reports to: a file, TensorBoard, the terminal.</summary>
/// <remarks>Members have empty bodies here because a sink shows only what it has a place for: a histogram means nothing
/// to a log, a console has no room for a configuration. File sinks write through at once; nothing that was reported is
/// lost when the process is killed. A sink is used from one thread at a time, which <see cref="MetricsSinks"/> sees to.</remarks>
/// <exception cref="Configuration.UserException">Any member, when the file behind it cannot be written.</exception>
public interface IMetricsSink : IDisposable
{
    /// <summary>A training step's figures; the loop reports every <see cref="MonitoringOptions.LogEvery"/> steps.</summary>
    void Step(StepMetrics metrics) { }

    /// <summary>An evaluation's figures.</summary>
    void Evaluation(EvaluationMetrics metrics) { }

    /// <summary>What a measure of <c>evaluation.measures</c> found.</summary>
    void Measured(MeasureMetrics metrics) { }

    /// <summary>A text that the model continued.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="prompt">What the model was given.</param>
    /// <param name="text">What it added, without the prompt.</param>
    void Sample(long step, string prompt, string text) { }

    /// <summary>How a tensor's values are distributed.</summary>
    /// <param name="name">Which tensor, such as <c>weights/layers.0.attention.query</c>.</param>
    /// <param name="histogram">The distribution.</param>
    /// <param name="step">Optimizer steps done.</param>
    void Histogram(string name, HistogramSummary histogram, long step) { }

    /// <summary>What a layer of experts gave to each of them; the loop reports it with every <see cref="Step"/> of a model that has any.</summary>
    /// <param name="layer">The layer, and the tokens of its experts in the last step.</param>
    /// <param name="step">Optimizer steps done.</param>
    void Experts(ExpertReport layer, long step) { }

    /// <summary>The resolved configuration of the run.</summary>
    /// <param name="json">Indented JSON.</param>
    void Configuration(string json) { }

    /// <summary>Something to tell the user: a checkpoint saved, a best model found, a signal received.</summary>
    /// <param name="text">Plain text, one or several lines.</param>
    void Message(string text) { }

    /// <summary>All steps are done; a run that was interrupted or diverged, and may be resumed, does not report it.</summary>
    /// <param name="step">Optimizer steps done.</param>
    void Completed(long step) { }

    /// <summary>Waits until all that was reported is on the disk itself, to survive a loss of power; called with every checkpoint.</summary>
    void Flush() { }
}
