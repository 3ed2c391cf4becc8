using Trainer.Configuration;

namespace Trainer.Reporting;

/// <summary>One HTML page about one or several runs: curves on common axes, what sets the runs apart, samples, evaluations, studies.</summary>
/// <remarks>It lives beside monitoring because it reads what monitoring writes: when a file of a run directory changes, its
/// writer and its reader change in one room.</remarks>
public static class RunReport
{
    /// <summary>Reads runs and writes a page about them.</summary>
    /// <param name="directories">Run directories, at least one. One that is given twice counts once.</param>
    /// <param name="output">The page; replaced as a whole when it is there.</param>
    /// <param name="progress">Told about all that could not be read; the page says it too.</param>
    /// <param name="tables">The folder for the same figures as Parquet files; null for none.</param>
    /// <returns>How many runs the page shows.</returns>
    /// <exception cref="UserException">A directory is no run's, nothing is recorded in any of them, or the page or a table cannot be written.</exception>
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
        HtmlPage.Write(output, HtmlPage.Create("Training report", content, "chart.js", "tables.js", "attention-head.js", "attention.js", "curves.js", "measures.js", "report.js"));
        if (tables is not null)
            RunTables.Write(tables, runs, names);
        return runs.Length;
    }

    private static RunRecord[] Read(List<string> directories, Action<string> warn)
    {
        RunRecord[] runs = [.. directories.Select(directory => new RunReader(directory, warn).Read())];
        if (runs.All(run => run.IsEmpty))
            throw new UserException(
                $"{string.Join(", ", directories)}: nothing is recorded here yet: metrics.jsonl is empty or missing; wait for the first of training.steps that monitoring.logEvery records");
        foreach (var run in runs.Where(run => run.IsEmpty))
            warn($"{run.Directory}: nothing is recorded here yet, so that only its configuration is shown");
        return runs;
    }

    private static List<string> Different(IReadOnlyList<string> directories, Action<string> warn)
    {
        List<string> different = [];
        foreach (var directory in directories)
        {
            if (different.Any(other => Path.TrimEndingDirectorySeparator(Path.GetFullPath(other)) == Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))))
                warn($"{directory}: it is given more than once and shown once");
            else
                different.Add(directory);
        }
        return different;
    }
}
