namespace Trainer.Reporting.Monitoring;

/// <summary>Reports a run as plain lines, for pipes, logs and terminals that want no colour.</summary>
/// <param name="writer">Standard error; not closed.</param>
/// <param name="run">Where the run stands.</param>
/// <param name="time">Gives the time for the estimate; the system's clock unless told otherwise.</param>
internal sealed class PlainConsoleSink(TextWriter writer, RunProgress run, TimeProvider? time = null) : IMetricsSink
{
    private const int SampleLines = 12;

    private readonly MetricLines _lines = new(run.TotalSteps);
    private readonly RunClock _clock = new(run, time ?? TimeProvider.System);

    public void Step(StepMetrics metrics)
    {
        _clock.Observe(metrics);
        writer.WriteLine(_lines.Step(metrics, _clock.Left));
    }

    public void Evaluation(EvaluationMetrics metrics) => writer.WriteLine(_lines.Evaluation(metrics));

    public void Measured(MeasureMetrics metrics)
    {
        foreach (var line in _lines.Measured(metrics))
            writer.WriteLine(line);
        foreach (var (prompt, text) in metrics.Texts)
            Sample(metrics.Step, prompt, text);
    }

    public void Sample(long step, string prompt, string text)
    {
        foreach (var line in TerminalText.Preview(prompt + text, SampleLines))
            writer.WriteLine("    | " + line);
    }

    public void Message(string text) => writer.WriteLine(text);

    public void Flush() => writer.Flush();

    public void Dispose() => writer.Flush();
}
