using System.Text.Json.Nodes;

namespace Trainer.Reporting;

/// <summary>What the scripts of a report page are given.</summary>
/// <param name="Runs">The runs, in the order of the command line.</param>
/// <param name="Settings">Their configurations beside each other.</param>
/// <param name="Warnings">What could not be read.</param>
internal sealed record ReportContent(IReadOnlyList<RunContent> Runs, IReadOnlyList<SettingContent> Settings, IReadOnlyList<string> Warnings)
{
    /// <summary>Makes the content of a page.</summary>
    /// <param name="runs">The runs.</param>
    /// <param name="names">A name for each.</param>
    /// <param name="warnings">What could not be read.</param>
    public static ReportContent Of(IReadOnlyList<RunRecord> runs, IReadOnlyList<string> names, IReadOnlyList<string> warnings) => new(
        [.. runs.Zip(names, RunContent.Of)],
        [.. ConfigurationTable.Of([.. runs.Select(run => run.Configuration).OfType<JsonObject>()])
            .Select(row => new SettingContent(row.Path, row.Differs, row.Differs ? row.Values : [row.Values[0]]))],
        warnings);
}

/// <summary>A setting.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Differs">Whether the runs do not all have the same.</param>
/// <param name="Values">A value for each run that has a configuration, or the one that all have; null where a run has none.</param>
internal sealed record SettingContent(string Path, bool Differs, IReadOnlyList<string?> Values);

/// <summary>A run in a report.</summary>
internal sealed record RunContent
{
    /// <summary>What it is called in this report.</summary>
    public required string Name { get; init; }

    /// <summary>Where it is.</summary>
    public required string Directory { get; init; }

    /// <summary>Whether it has a configuration that others can be compared with.</summary>
    public required bool Configured { get; init; }

    /// <summary>The row of the summary.</summary>
    public required RunSummary Summary { get; init; }

    /// <summary>Training curves; null where no step is recorded.</summary>
    public required RunCurves? Curves { get; init; }

    /// <summary>The validation curve; null where nothing was evaluated.</summary>
    public required ValidationCurve? Validation { get; init; }

    /// <summary>What the model said.</summary>
    public required IReadOnlyList<SampleSet> Samples { get; init; }

    /// <summary>What measures found in training.</summary>
    public required IReadOnlyList<MeasureCurve> Measures { get; init; }

    /// <summary>What they found by position or depth.</summary>
    public required IReadOnlyList<MeasureProfile> Profiles { get; init; }

    /// <summary>Attention maps.</summary>
    public required IReadOnlyList<FigureFile> Attention { get; init; }

    /// <summary>Evaluations.</summary>
    public required IReadOnlyList<FigureFile> Evaluations { get; init; }

    /// <summary>Studies.</summary>
    public required IReadOnlyList<FigureFile> Studies { get; init; }

    /// <summary>Makes the content of a run.</summary>
    public static RunContent Of(RunRecord run, string name) => new()
    {
        Name = name,
        Directory = run.Directory,
        Configured = run.Configuration is not null,
        Summary = RunSummary.Of(run),
        Curves = run.Metrics.Steps.Count == 0 ? null : RunCurves.Of(run.Metrics.Steps),
        Validation = run.Metrics.Evaluations.Count == 0 ? null : ValidationCurve.Of(run.Metrics),
        Samples = run.Samples,
        Measures = MeasureCurves.Curves(run.Metrics),
        Profiles = MeasureCurves.Profiles(run.Metrics),
        Attention = run.Attention,
        Evaluations = run.Evaluations,
        Studies = run.Studies,
    };
}

/// <summary>Validation losses, one for each evaluation.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Tokens">Tokens trained on.</param>
/// <param name="Seconds">Time since the run began.</param>
/// <param name="Loss">Nats per token; null where it was not finite.</param>
internal sealed record ValidationCurve(
    IReadOnlyList<long> Step, IReadOnlyList<double?> Tokens, IReadOnlyList<double?> Seconds, IReadOnlyList<double?> Loss)
{
    /// <summary>The evaluations of a run.</summary>
    public static ValidationCurve Of(RunMetrics metrics) => new(
        [.. metrics.Evaluations.Select(record => record.Step)],
        [.. metrics.Evaluations.Select(record => metrics.TokensAt(record.Step) is { } tokens ? Math.Round(tokens) : (double?)null)],
        [.. metrics.Evaluations.Select(record => PageNumber.Rounded(record.Seconds))],
        [.. metrics.Evaluations.Select(record => PageNumber.Rounded(record.Loss))]);
}
