namespace Trainer.Reporting.Monitoring;

/// <summary>Records as one line of text each, aligned, for logs and pipes.</summary>
/// <param name="totalSteps">The step at which the run is done; its width aligns the steps.</param>
internal sealed class MetricLines(long totalSteps)
{
    private readonly string _total = HumanFormat.Number(totalSteps);

    /// <summary>A training step.</summary>
    public string Step(StepMetrics metrics, TimeSpan? left)
    {
        var line = $"{Steps(metrics.Step)}  loss {HumanFormat.Loss(metrics.Loss)}  rate {HumanFormat.Rate(metrics.LearningRate)}" +
            $"  gradient {HumanFormat.Compact(metrics.GradientNorm),5}  {HumanFormat.Compact(metrics.TokensPerSecond),5} tok/s" +
            $"  {HumanFormat.Duration(TimeSpan.FromSeconds(metrics.StepSeconds)),7}/step";
        if (metrics.ModelFlopUtilisation is { } utilisation)
            line += $"  {HumanFormat.Percent(utilisation)} of peak";
        if (metrics.PeakMemoryBytes is { } memory)
            line += $"  {HumanFormat.Bytes(memory)}";
        if (metrics.SkippedSteps > 0)
            line += $"  {HumanFormat.Number(metrics.SkippedSteps)} skipped";
        if (left is { } time)
            line += $"  {HumanFormat.Estimate(time)} left";
        return line;
    }

    /// <summary>An evaluation.</summary>
    public string Evaluation(EvaluationMetrics metrics) =>
        $"{Steps(metrics.Step)}  validation loss {HumanFormat.Loss(metrics.ValidationLoss)}  perplexity {HumanFormat.Compact(metrics.Perplexity)}  {Best(metrics)}";

    /// <summary>What a measure found, a line each.</summary>
    public IEnumerable<string> Measured(MeasureMetrics metrics) => metrics.Lines.Select(line => $"{Steps(metrics.Step)}  {metrics.Name}: {line}");

    /// <summary>Where the best evaluation stands.</summary>
    public static string Best(EvaluationMetrics metrics) => metrics.IsBest
        ? "best so far"
        : $"best {HumanFormat.Loss(metrics.BestLoss)} at step {HumanFormat.Number(metrics.BestStep)}";

    private string Steps(long step) => $"step {HumanFormat.Number(step).PadLeft(_total.Length)}/{_total}";
}
