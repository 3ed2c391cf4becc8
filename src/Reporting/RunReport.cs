using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;
using Trainer.Reporting.Runs;

namespace Trainer.Reporting;

/// <summary>An HTML page about one or several runs: curves on common axes, differing settings, samples, evaluations, studies.</summary>
public static class RunReport
{
    /// <summary>Writes a page about run directories and, into the folder <paramref name="tables"/>, the same figures as Parquet files.
    /// Returns the number of runs; a directory given twice counts once.</summary>
    /// <exception cref="UserException">A directory is no run's, nothing is recorded in any, or a file cannot be written.</exception>
    public static int Write(IReadOnlyList<string> directories, string output, IProgress<string> progress, string? tables = null)
    {
        List<string> warnings = [];
        void Warn(string warning)
        {
            warnings.Add(warning);
            progress.Report(warning);
        }
        var different = Different(directories, Warn);
        var runs = Read(different, Warn);
        var names = RunNames.Of(different);
        // Warnings of reading are on the page.
        var content = ReportContent.Of(runs, names, warnings);
        HtmlPage.Write(output,
            HtmlPage.Create("Training report", content, "chart.js", "tables.js", "attention-head.js", "attention.js",
                "attention-picture.js", "curves.js", "measures.js", "steptime.js", "report.js"));
        if (tables is not null)
            RunTables.Write(tables, runs, names);
        return runs.Length;
    }

    private static RunRecord[] Read(List<string> directories, Action<string> warn)
    {
        RunRecord[] runs = [.. directories.Select(directory => new RunReader(directory, warn).Read())];
        if (runs.All(run => run.IsEmpty))
            throw new UserException(
                $"{string.Join(", ", directories)}: nothing is recorded here yet: metrics.jsonl is empty or missing; wait for the " +
                "first of training.steps that monitoring.logEvery records");
        foreach (var run in runs.Where(run => run.IsEmpty))
            warn($"{run.Directory}: nothing is recorded here yet, so that only its configuration is shown");
        return runs;
    }

    private static List<string> Different(IReadOnlyList<string> directories, Action<string> warn)
    {
        List<string> different = [];
        foreach (var directory in directories)
        {
            if (different.Any(other => FullPath(other) == FullPath(directory)))
                warn($"{directory}: it is given more than once and shown once");
            else
                different.Add(directory);
        }
        return different;

        static string FullPath(string path) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
    }
}

internal static class RunNames
{
    public static IReadOnlyList<string> Of(IReadOnlyList<string> directories)
    {
        string[][] parts = [.. directories.Select(directory =>
            Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))
                .Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))];
        var lengths = parts.Select(_ => 1).ToArray();
        for (var deepest = parts.Max(path => path.Length); deepest > 0; deepest--)
        {
            var alike = Enumerable.Range(0, parts.Length).GroupBy(i => Name(i)).Where(group => group.Count() > 1).SelectMany(group => group)
                .ToArray();
            if (alike.Length == 0) break;
            foreach (var i in alike) lengths[i]++;
        }
        return [.. Enumerable.Range(0, parts.Length).Select(Name)];

        string Name(int i) => parts[i].Length == 0 ? "/" : string.Join('/', parts[i].TakeLast(lengths[i]));
    }
}

internal sealed record ReportContent(IReadOnlyList<RunContent> Runs, IReadOnlyList<SettingContent> Settings, IReadOnlyList<string> Warnings)
{
    public static ReportContent Of(IReadOnlyList<RunRecord> runs, IReadOnlyList<string> names, IReadOnlyList<string> warnings) => new(
        [.. runs.Zip(names, RunContent.Of)],
        [.. ConfigurationTable.Of([.. runs.Select(run => run.Configuration).OfType<JsonObject>()])
            .Select(row => new SettingContent(row.Path, row.Differs, row.Differs ? row.Values : [row.Values[0]]))],
        warnings);
}

/// <summary>A setting, with a value for each configured run, or the one that all have.</summary>
internal sealed record SettingContent(string Path, bool Differs, IReadOnlyList<string?> Values);

internal sealed record RunContent
{
    public required string Name { get; init; }

    public required string Directory { get; init; }

    /// <summary>Whether it has a configuration that others can be compared with.</summary>
    public required bool Configured { get; init; }

    /// <summary>What it counts.</summary>
    public required CountedUnit Unit { get; init; }

    public required RunSummary Summary { get; init; }

    public required RunCurves? Curves { get; init; }

    public required ValidationCurve? Validation { get; init; }

    public required IReadOnlyList<SampleSet> Samples { get; init; }

    public required IReadOnlyList<EvaluatorCurve> Measures { get; init; }

    public required IReadOnlyList<EvaluatorProfile> Profiles { get; init; }

    public required IReadOnlyList<FigureFile> Attention { get; init; }

    public required IReadOnlyList<FigureFile> StepTimes { get; init; }

    public required IReadOnlyList<FigureFile> Evaluations { get; init; }

    public required IReadOnlyList<FigureFile> Studies { get; init; }

    // As configured: figures are recorded under the names that those of texts have.
    private static CountedUnit UnitOf(JsonObject? configuration) =>
        ((configuration?["model"] as JsonObject)?["input"] as JsonObject)?["type"]?.ToString() switch
        {
            "image-patches" => CountedUnit.Pictures,
            "series-patches" => CountedUnit.Values,
            _ => CountedUnit.Tokens,
        };

    public static RunContent Of(RunRecord run, string name) => new()
    {
        Name = name,
        Directory = run.Directory,
        Configured = run.Configuration is not null,
        Unit = UnitOf(run.Configuration),
        Summary = RunSummary.Of(run),
        Curves = run.Metrics.Steps.Count == 0 ? null : RunCurves.Of(run.Metrics.Steps),
        Validation = run.Metrics.Evaluations.Count == 0 ? null : ValidationCurve.Of(run.Metrics),
        Samples = run.Samples,
        Measures = EvaluatorCurves.Curves(run.Metrics),
        Profiles = EvaluatorCurves.Profiles(run.Metrics),
        Attention = run.Attention,
        StepTimes = run.StepTimes,
        Evaluations = run.Evaluations,
        Studies = run.Studies,
    };
}

/// <summary>The validation losses; null where one was not finite.</summary>
internal sealed record ValidationCurve(
    IReadOnlyList<long> Step, IReadOnlyList<double?> Tokens, IReadOnlyList<double?> Seconds, IReadOnlyList<double?> Loss)
{
    public static ValidationCurve Of(RunMetrics metrics) => new(
        [.. metrics.Evaluations.Select(record => record.Step)],
        [.. metrics.Evaluations.Select(record => metrics.TokensAt(record.Step) is { } tokens ? Math.Round(tokens) : (double?)null)],
        [.. metrics.Evaluations.Select(record => PageNumber.Rounded(record.Seconds))],
        [.. metrics.Evaluations.Select(record => PageNumber.Rounded(record.Loss))]);
}

/// <summary>The row of a run in the summary; unknown figures are null.</summary>
internal sealed record RunSummary
{
    /// <summary>In nats per token.</summary>
    public double? BestLoss { get; init; }

    public long? BestStep { get; init; }

    public double? Perplexity { get; init; }

    public double? LastLoss { get; init; }

    public long? Steps { get; init; }

    public long? PlannedSteps { get; init; }

    public double? Tokens { get; init; }

    public long? Parameters { get; init; }

    /// <summary>Those that an adapted run trains; null where that is all.</summary>
    public long? TrainedParameters { get; init; }

    /// <summary>Spent in steps and evaluations.</summary>
    public double? Seconds { get; init; }

    /// <summary>The median of the recorded speeds.</summary>
    public double? TokensPerSecond { get; init; }

    /// <summary>Those that were not finite.</summary>
    public long SkippedSteps { get; init; }

    public long SpikeSteps { get; init; }

    public static RunSummary Of(RunRecord run)
    {
        var (steps, evaluations, best) = (run.Metrics.Steps, run.Metrics.Evaluations, run.Metrics.Best);
        double[] speeds = [.. steps.Select(step => step.TokensPerSecond).OfType<double>().Where(double.IsFinite).Order()];
        var last = new[] { steps is [.., var step] ? step.Step : -1, evaluations is [.., var evaluation] ? evaluation.Step : -1 }.Max();
        return new RunSummary
        {
            BestLoss = best?.Loss,
            BestStep = best?.Step,
            Perplexity = best is { HasPerplexity: true } && double.IsFinite(Math.Exp(best.Loss)) ? Math.Exp(best.Loss) : null,
            LastLoss = steps is [.., { Loss: { } loss }] && double.IsFinite(loss) ? loss : null,
            Steps = last < 0 ? null : last,
            PlannedSteps = run.Configuration?["training"] is JsonObject training && training["steps"] is JsonValue planned
                && planned.TryGetValue<long>(out var count) ? count : null,
            Tokens = last < 0 ? null : run.Metrics.TokensAt(last),
            Parameters = run.Parameters,
            TrainedParameters = run.TrainedParameters,
            Seconds = new[]
            {
                steps is [.., var lastStep] ? lastStep.Seconds : null,
                evaluations is [.., var lastEvaluation] ? lastEvaluation.Seconds : null,
            }.Max(),
            TokensPerSecond = speeds.Length == 0 ? null : speeds[speeds.Length / 2],
            SkippedSteps = run.Metrics.SkippedSteps,
            SpikeSteps = run.Metrics.SpikeSteps,
        };
    }
}
