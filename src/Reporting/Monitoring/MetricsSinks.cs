using Trainer.Models;

namespace Trainer.Reporting.Monitoring;

/// <summary>Several sinks that are reported to as one. Safe to call from any thread, such as a signal handler's.</summary>
/// <param name="sinks">The sinks, in the order in which they are told; owned from now on.</param>
public sealed class MetricsSinks(IReadOnlyList<IMetricsSink> sinks) : IMetricsSink
{
    private readonly Lock _lock = new();

    /// <inheritdoc/>
    public void Step(StepMetrics metrics) => Each(sink => sink.Step(metrics));

    /// <inheritdoc/>
    public void Evaluation(EvaluationMetrics metrics) => Each(sink => sink.Evaluation(metrics));

    /// <inheritdoc/>
    public void Measured(MeasureMetrics metrics) => Each(sink => sink.Measured(metrics));

    /// <inheritdoc/>
    public void Sample(long step, string prompt, string text) => Each(sink => sink.Sample(step, prompt, text));

    /// <inheritdoc/>
    public void Histogram(string name, HistogramSummary histogram, long step) => Each(sink => sink.Histogram(name, histogram, step));

    /// <inheritdoc/>
    public void Experts(ExpertReport layer, long step) => Each(sink => sink.Experts(layer, step));

    /// <inheritdoc/>
    public void Configuration(string json) => Each(sink => sink.Configuration(json));

    /// <inheritdoc/>
    public void Message(string text) => Each(sink => sink.Message(text));

    /// <inheritdoc/>
    public void Completed(long step) => Each(sink => sink.Completed(step));

    /// <inheritdoc/>
    public void Flush() => Each(sink => sink.Flush());

    /// <inheritdoc/>
    public void Dispose() => Each(sink => sink.Dispose());

    private void Each(Action<IMetricsSink> report)
    {
        lock (_lock)
            foreach (var sink in sinks)
                report(sink);
    }
}
