using System.Globalization;
using System.Text;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes log.txt: everything that happened, with the time (UTC), one line each. Appended to when a run goes on.</summary>
/// <param name="path">The file.</param>
/// <param name="totalSteps">The step at which the run is done.</param>
/// <param name="time">Gives the time; the system's clock unless told otherwise.</param>
public sealed class LogSink(string path, long totalSteps, TimeProvider? time = null) : IMetricsSink
{
    private readonly AppendFile _file = new(path, endLine: true);
    private readonly MetricLines _lines = new(totalSteps);
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <inheritdoc/>
    public void Step(StepMetrics metrics) => Message(_lines.Step(metrics, left: null));

    /// <inheritdoc/>
    public void Evaluation(EvaluationMetrics metrics) => Message(_lines.Evaluation(metrics));

    /// <inheritdoc/>
    public void Measured(MeasureMetrics metrics)
    {
        foreach (var line in _lines.Measured(metrics))
            Message(line);
    }

    /// <inheritdoc/>
    public void Message(string text)
    {
        var stamp = _time.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.fff'Z  '", CultureInfo.InvariantCulture);
        var continued = "\n" + new string(' ', stamp.Length);
        _file.Append(Encoding.UTF8.GetBytes(stamp + text.ReplaceLineEndings("\n").TrimEnd('\n').Replace("\n", continued, StringComparison.Ordinal) + "\n"));
    }

    /// <inheritdoc/>
    public void Flush() => _file.Flush();

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
