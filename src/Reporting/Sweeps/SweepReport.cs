using System.Globalization;
using Trainer.Configuration;
using Trainer.Reporting.Runs;

namespace Trainer.Reporting.Sweeps;

/// <summary>An HTML page about a sweep: its configurations as parallel coordinates, the curves of their runs, and a table of their
/// differences.</summary>
public static class SweepReport
{
    /// <summary>Writes the page and returns the number of runs that are on it.</summary>
    /// <exception cref="UserException">It is no sweep's directory, nothing is recorded in it, or the page cannot be written.</exception>
    public static int Write(string directory, string output, IProgress<string> progress)
    {
        List<string> warnings = [];
        void Warn(string warning)
        {
            warnings.Add(warning);
            progress.Report(warning);
        }
        SweepRecord sweep = SweepRecord.Load(directory);
        Dictionary<string, RunMetrics> metrics =
            sweep.Definition.Runs.ToDictionary(run => run.Name, run => RunMetrics.Read(Path.Combine(directory, run.Name), Warn));
        if (metrics.Values.All(run => run.IsEmpty))
            throw new UserException($"{directory}: none of its {metrics.Count} runs has recorded anything yet; wait for the first of them");
        SweepContent content = SweepContent.Of(directory, sweep, metrics, warnings);
        HtmlPage.Write(output, HtmlPage.Create("Sweep report", content, "chart.js", "tables.js", "parallel.js", "sweep.js"));
        return metrics.Values.Count(run => !run.IsEmpty);
    }
}

internal sealed record SweepContent
{
    public required string Directory { get; init; }

    public required string Recipe { get; init; }

    public required int Seeds { get; init; }

    public required int? Halving { get; init; }

    public required IReadOnlyList<long> Rungs { get; init; }

    public required IReadOnlyList<SweepAxis> Axes { get; init; }

    public required IReadOnlyList<SweepRow> Rows { get; init; }

    public required IReadOnlyList<SweepFailure> Failures { get; init; }

    public required IReadOnlyList<string> Warnings { get; init; }

    public static SweepContent Of(
        string directory, SweepRecord sweep, IReadOnlyDictionary<string, RunMetrics> metrics, IReadOnlyList<string> warnings)
    {
        SweepDefinition definition = sweep.Definition;
        SweepResults results = SweepResults.Of(sweep, run => metrics[run.Name]);
        return new SweepContent
        {
            Directory = directory,
            Recipe = definition.Recipe,
            Seeds = definition.Seeds,
            Halving = definition.Halving,
            Rungs = definition.Rungs,
            Axes = [.. definition.Varied.Select((path, index) => SweepAxis.Of(path, results.Rows, index))],
            Rows = [.. results.Rows.Select(row => new SweepRow(row, row == results.Best, SweepCurves.Of(
                [.. definition.Runs.Where(run => run.Configuration == row.Configuration && row.Losses.ContainsKey(run.Seed))
                    .Select(run => (run, metrics[run.Name]))])))],
            Failures = [.. from run in definition.Runs let outcome = sweep.OutcomeOf(run) where outcome.Status == SweepStatus.Failed
                select new SweepFailure(run.Name, outcome.Error ?? "")],
            Warnings = warnings,
        };
    }
}

internal sealed record SweepRow(SweepResult Result, bool IsBest, SweepCurves Curves);

internal sealed record SweepFailure(string Run, string Error);

/// <summary>A setting and the place of each row on its axis: its number where all values are numbers, null where they are names.</summary>
internal sealed record SweepAxis(string Path, IReadOnlyList<double>? Numbers)
{
    public static SweepAxis Of(string path, IReadOnlyList<SweepResult> rows, int index)
    {
        double?[] numbers = [.. rows.Select(row =>
            double.TryParse(row.Values[index], CultureInfo.InvariantCulture, out double number) ? number : (double?)null)];
        return new SweepAxis(path, numbers.All(number => number is not null) ? [.. numbers.Select(number => number!.Value)] : null);
    }
}

/// <summary>The validation losses of the runs of a configuration, and their mean and standard deviation over seeds at the steps that all
/// of them have.</summary>
internal sealed record SweepCurves(
    IReadOnlyList<long> Step, IReadOnlyList<double?> Mean, IReadOnlyList<double?>? Low, IReadOnlyList<double?>? High,
    IReadOnlyList<SweepRunCurve> Runs)
{
    public static SweepCurves Of(IReadOnlyList<(SweepRun Run, RunMetrics Metrics)> runs)
    {
        SweepRunCurve[] curves = [.. runs.Select(run => new SweepRunCurve(run.Run.Name, run.Run.Seed,
            [.. run.Metrics.Evaluations.Select(record => record.Step)],
            [.. run.Metrics.Evaluations.Select(record => PageNumber.Rounded(record.Loss))]))];
        Dictionary<long, double>[] losses = [.. runs.Select(run => run.Metrics.Evaluations.Where(record => double.IsFinite(record.Loss))
            .ToDictionary(record => record.Step, record => record.Loss))];
        long[] steps = losses.Length == 0 ? [] : [.. losses[0].Keys.Where(step => losses.All(run => run.ContainsKey(step))).Order()];
        double[] means = [.. steps.Select(step => losses.Average(run => run[step]))];
        double?[] deviations = [.. steps.Select(step => Spread.Deviation([.. losses.Select(run => run[step])]))];
        bool spreads = losses.Length > 1;
        return new SweepCurves(
            steps, [.. means.Select(mean => PageNumber.Rounded(mean))],
            spreads ? [.. means.Zip(deviations, (mean, deviation) => PageNumber.Rounded(mean - deviation))] : null,
            spreads ? [.. means.Zip(deviations, (mean, deviation) => PageNumber.Rounded(mean + deviation))] : null, curves);
    }
}

internal sealed record SweepRunCurve(string Name, long Seed, IReadOnlyList<long> Step, IReadOnlyList<double?> Loss);
