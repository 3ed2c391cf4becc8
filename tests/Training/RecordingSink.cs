using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training.Tests;

/// <summary>Remembers all it is told.</summary>
internal sealed class RecordingSink : IMetricsSink
{
    public List<StepMetrics> Steps { get; } = [];

    public List<EvaluationMetrics> Evaluations { get; } = [];

    public List<EvaluatorMetrics> Measures { get; } = [];

    public void Evaluated(EvaluatorMetrics metrics) => Measures.Add(metrics);

    public List<(long Step, string Prompt, string Text)> Samples { get; } = [];

    public List<string> Histograms { get; } = [];

    public List<string> Messages { get; } = [];

    public Action<StepMetrics> OnStep { get; init; } = _ => { };

    public void Step(StepMetrics metrics)
    {
        Steps.Add(metrics);
        OnStep(metrics);
    }

    public void Evaluation(EvaluationMetrics metrics) => Evaluations.Add(metrics);

    public void Sample(long step, string prompt, string text) => Samples.Add((step, prompt, text));

    public void Histogram(string name, HistogramSummary histogram, long step) => Histograms.Add(name);

    public List<(ExpertReport Layer, long Step)> ExpertReports { get; } = [];

    public void Experts(ExpertReport layer, long step) => ExpertReports.Add((layer, step));

    public void Message(string text) => Messages.Add(text);

    public void Dispose()
    {
    }
}
