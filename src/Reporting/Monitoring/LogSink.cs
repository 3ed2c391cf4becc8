using System.Globalization;
using System.Text;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes log.txt: every event with its time (UTC). A resumed run appends.</summary>
internal sealed class LogSink(string path, RunProgress run, TimeProvider? time = null) : IMetricsSink
{
    private readonly AppendFile _file = new(path, endLine: true);
    private readonly MetricLines _lines = new(run);
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    public void Step(StepMetrics metrics) => Message(_lines.Step(metrics, left: null));

    public void Evaluation(EvaluationMetrics metrics) => Message(_lines.Evaluation(metrics));

    public void Evaluated(EvaluatorMetrics metrics)
    {
        foreach (var line in _lines.Evaluated(metrics))
            Message(line);
    }

    public void Message(string text)
    {
        var stamp = _time.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.fff'Z  '", CultureInfo.InvariantCulture);
        var continued = "\n" + new string(' ', stamp.Length);
        _file.Append(Encoding.UTF8.GetBytes(stamp + text.ReplaceLineEndings("\n").TrimEnd('\n')
            .Replace("\n", continued, StringComparison.Ordinal) + "\n"));
    }

    public void Flush() => _file.Flush();

    public void Dispose() => _file.Dispose();
}

internal sealed class MetricLines(RunProgress run)
{
    private readonly string _total = HumanFormat.Number(run.TotalSteps);

    public string Step(StepMetrics metrics, TimeSpan? left)
    {
        var line = $"{Steps(metrics.Step)}  loss {HumanFormat.Loss(metrics.Loss)}  rate {HumanFormat.Rate(metrics.LearningRate)}" +
            $"  gradient {HumanFormat.Compact(metrics.GradientNorm),5}  {HumanFormat.Compact(metrics.TokensPerSecond),5} {run.Unit.Speed}" +
            $"  {HumanFormat.Duration(TimeSpan.FromSeconds(metrics.StepSeconds)),7}/step";
        if (metrics.ModelFlopUtilisation is { } utilisation)
            line += $"  {HumanFormat.Percent(utilisation)} of peak";
        if (metrics.PeakMemoryBytes is { } memory)
            line += $"  {HumanFormat.Bytes(memory)}";
        if (metrics.SkippedSteps > 0)
            line += $"  {HumanFormat.Number(metrics.SkippedSteps)} skipped";
        if (metrics.SpikeSteps is > 0 and var spikes)
            line += $"  {HumanFormat.Number(spikes)} {(spikes == 1 ? "spike" : "spikes")}";
        if (left is { } time)
            line += $"  {HumanFormat.Estimate(time)} left";
        return line;
    }

    public string Evaluation(EvaluationMetrics metrics) =>
        $"{Steps(metrics.Step)}  validation loss {HumanFormat.Loss(metrics.ValidationLoss)}  " +
        $"{(metrics.Perplexity is { } perplexity ? $"perplexity {HumanFormat.Compact(perplexity)}  " : "")}{Best(metrics)}";

    public IEnumerable<string> Evaluated(EvaluatorMetrics metrics) =>
        metrics.Lines.Select(line => $"{Steps(metrics.Step)}  {metrics.Name}: {line}");

    public static string Best(EvaluationMetrics metrics) => metrics.IsBest
        ? "best so far"
        : $"best {HumanFormat.Loss(metrics.BestLoss)} at step {HumanFormat.Number(metrics.BestStep)}";

    private string Steps(long step) => $"step {HumanFormat.Number(step).PadLeft(_total.Length)}/{_total}";
}
