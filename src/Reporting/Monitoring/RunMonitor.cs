using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Reporting.Monitoring;

/// <summary>The section <c>monitoring</c> of a recipe: what a run reports, and how often.</summary>
public sealed record MonitoringOptions : IValidated
{
    /// <summary>Steps between two records of the training figures.</summary>
    [Description("Record loss, learning rate, gradient norm and speed every this many steps.")]
    [Range(1, int.MaxValue)]
    public int LogEvery { get; init; } = 10;

    /// <summary>Whether to write TensorBoard event files.</summary>
    [Description("Write TensorBoard event files into the run directory.")]
    public bool TensorBoard { get; init; } = true;

    /// <summary>Prompts that the model continues after every evaluation.</summary>
    [Description("Prompts that the model continues after every evaluation; the texts go to samples/, TensorBoard and the terminal.")]
    public IReadOnlyList<string> Samples { get; init; } = [];

    /// <summary>Steps between two sets of histograms; 0 for none.</summary>
    [Description("Write histograms of weights and gradients to TensorBoard every this many steps; 0 writes none.")]
    [Range(0, int.MaxValue)]
    public int HistogramEvery { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (HistogramEvery > 0 && !TensorBoard)
            yield return new Problem("histogramEvery", $"histogramEvery ({HistogramEvery}) has nowhere to write to while tensorBoard " +
                "is false; set tensorBoard to true or histogramEvery to 0");
        for (var i = 0; i < Samples.Count; i++)
            if (string.IsNullOrEmpty(Samples[i]))
                yield return new Problem($"samples.{i}", "a prompt must not be empty; give the model at least one character to go on from");
    }
}

/// <summary>How far a run is when it starts or resumes: <c>ResumedFrom</c> is the checkpoint's step, null for a new run.</summary>
public sealed record RunProgress(long TotalSteps, long? ResumedFrom = null)
{
    /// <summary>Steps already done.</summary>
    public long Done => ResumedFrom ?? 0;

    /// <summary>The first step that will be recorded; later ones on file are left over from before the interruption. A new run may record
    /// step 0, the evaluation of the untrained model.</summary>
    public long FirstStep => ResumedFrom + 1 ?? 0;

    /// <summary>What the run counts.</summary>
    public CountedUnit Unit { get; init; } = CountedUnit.Tokens;
}

/// <summary>What a run counts under the name of tokens: what it predicts. <c>One</c> is for texts such as "nats per token", <c>Speed</c>
/// for how many a second.</summary>
public sealed record CountedUnit(string One, string Many, string Speed)
{
    /// <summary>Tokens of a text.</summary>
    public static CountedUnit Tokens { get; } = new("token", "tokens", "tok/s");

    /// <summary>Pictures whose class is told.</summary>
    public static CountedUnit Pictures { get; } = new("picture", "pictures", "pictures/s");

    /// <summary>Values of a time series that are forecast.</summary>
    public static CountedUnit Values { get; } = new("value", "values", "values/s");
}

/// <summary>Opens all sinks of a run.</summary>
public static class RunMonitor
{
    /// <summary>Opens the sinks of a run, and removes from its files the records that a resumed run writes again.</summary>
    /// <exception cref="Configuration.UserException">A file cannot be opened.</exception>
    public static IMetricsSink Open(MonitoringOptions options, RunProgress run, string directory, IMetricsSink? console)
    {
        var metrics = Path.Combine(directory, MetricsFile.Name);
        var removed = MetricsFile.Rewind(metrics, run.FirstStep);
        var sinks = new List<IMetricsSink> { new LogSink(Path.Combine(directory, "log.txt"), run), new JsonLinesSink(metrics) };
        if (options.TensorBoard)
            sinks.Add(new TensorBoardSink(directory, run.FirstStep));
        sinks.Add(new SampleFilesSink(Path.Combine(directory, "samples")));
        if (console is not null) sinks.Add(console);

        var all = new MetricsSinks(sinks);
        if (run.ResumedFrom is { } step)
            all.Message($"going on from step {HumanFormat.Number(step)} of {HumanFormat.Number(run.TotalSteps)}");
        if (removed.Overlapping > 0)
            all.Message($"metrics.jsonl: {HumanFormat.Counted(removed.Overlapping, "record")} from step " +
                $"{HumanFormat.Number(run.FirstStep)} on removed; they are recorded again");
        if (removed.Damaged > 0)
            all.Message($"metrics.jsonl: {HumanFormat.Counted(removed.Damaged, "damaged line")} " +
                "removed, as an interrupted write leaves behind");
        return all;
    }
}
