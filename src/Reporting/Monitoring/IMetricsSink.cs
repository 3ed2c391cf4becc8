using Trainer.Models;

namespace Trainer.Reporting.Monitoring;

/// <summary>Where a training run reports to: a file, TensorBoard, the terminal. A sink implements only what it has a place for, is called
/// from one thread at a time, and writes to files at once, so that a killed process loses nothing.</summary>
/// <exception cref="Configuration.UserException">Any member, when the file behind it cannot be written.</exception>
public interface IMetricsSink : IDisposable
{
    /// <summary>Every <see cref="MonitoringOptions.LogEvery"/> steps.</summary>
    void Step(StepMetrics metrics) { }

    /// <summary>After each evaluation on the validation set.</summary>
    void Evaluation(EvaluationMetrics metrics) { }

    /// <summary>After each run of a scheduled evaluator.</summary>
    void Evaluated(EvaluatorMetrics metrics) { }

    /// <summary>A generated text, without its prompt.</summary>
    void Sample(long step, string prompt, string text) { }

    /// <summary>A histogram of a tensor such as <c>weights/layers.0.attention.query</c>.</summary>
    void Histogram(string name, HistogramSummary histogram, long step) { }

    /// <summary>The load of a layer of experts, with every <see cref="Step"/> of a model that has any.</summary>
    void Experts(ExpertReport layer, long step) { }

    /// <summary>The resolved configuration, as indented JSON.</summary>
    void Configuration(string json) { }

    /// <summary>A message to the user: a checkpoint saved, a signal received.</summary>
    void Message(string text) { }

    /// <summary>All steps are done. Not called for an interrupted or diverged run, which may be resumed.</summary>
    void Completed(long step) { }

    /// <summary>Flushes to the disk itself, to survive a loss of power; called with every checkpoint.</summary>
    void Flush() { }
}

/// <summary>Several sinks as one. Safe to call from any thread, such as a signal handler's.</summary>
internal sealed class MetricsSinks(IReadOnlyList<IMetricsSink> sinks) : IMetricsSink
{
    private readonly Lock _lock = new();

    public void Step(StepMetrics metrics) => Each(sink => sink.Step(metrics));

    public void Evaluation(EvaluationMetrics metrics) => Each(sink => sink.Evaluation(metrics));

    public void Evaluated(EvaluatorMetrics metrics) => Each(sink => sink.Evaluated(metrics));

    public void Sample(long step, string prompt, string text) => Each(sink => sink.Sample(step, prompt, text));

    public void Histogram(string name, HistogramSummary histogram, long step) => Each(sink => sink.Histogram(name, histogram, step));

    public void Experts(ExpertReport layer, long step) => Each(sink => sink.Experts(layer, step));

    public void Configuration(string json) => Each(sink => sink.Configuration(json));

    public void Message(string text) => Each(sink => sink.Message(text));

    public void Completed(long step) => Each(sink => sink.Completed(step));

    public void Flush() => Each(sink => sink.Flush());

    public void Dispose() => Each(sink => sink.Dispose());

    private void Each(Action<IMetricsSink> report)
    {
        lock (_lock)
            foreach (var sink in sinks)
                report(sink);
    }
}
