namespace Trainer.Reporting.Monitoring;

/// <summary>Opens everything that a run reports to.</summary>
public static class RunMonitor
{
    /// <summary>Opens the sinks that <paramref name="options"/> ask for, and removes from the run's files what a resumed
    /// run will record again.</summary>
    /// <param name="options">What to report.</param>
    /// <param name="run">Where the run stands.</param>
    /// <param name="directory">The run's directory.</param>
    /// <param name="console">Where the person who started the run looks; <see cref="ConsoleSink.Create"/> makes it.</param>
    /// <exception cref="Configuration.UserException">A file cannot be opened.</exception>
    public static IMetricsSink Open(MonitoringOptions options, RunProgress run, string directory, IMetricsSink console)
    {
        var metrics = Path.Combine(directory, "metrics.jsonl");
        var removed = MetricsFile.Rewind(metrics, run.FirstStep);
        var sinks = new List<IMetricsSink> { new LogSink(Path.Combine(directory, "log.txt"), run.TotalSteps), new JsonLinesSink(metrics) };
        if (options.TensorBoard)
            sinks.Add(new TensorBoardSink(directory, run.FirstStep));
        sinks.Add(new SampleFilesSink(Path.Combine(directory, "samples")));
        sinks.Add(console);

        var all = new MetricsSinks(sinks);
        if (run.ResumedFrom is { } step)
            all.Message($"going on from step {HumanFormat.Number(step)} of {HumanFormat.Number(run.TotalSteps)}");
        if (removed.Overlapping > 0)
            all.Message($"metrics.jsonl: {HumanFormat.Counted(removed.Overlapping, "record")} from step {HumanFormat.Number(run.FirstStep)} on removed; they are recorded again");
        if (removed.Damaged > 0)
            all.Message($"metrics.jsonl: {HumanFormat.Counted(removed.Damaged, "damaged line")} removed, as an interrupted write leaves behind");
        return all;
    }
}
