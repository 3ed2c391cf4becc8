using System.CommandLine;
using Trainer.Configuration;
using Trainer.Reporting;
using Trainer.Reporting.Adapting;
using Trainer.Reporting.Monitoring;
using Trainer.Reporting.Sweeps;

namespace Trainer.Cli;

internal static class ReportCommand
{
    internal static Command Create()
    {
        var runs = new Argument<string[]>("run")
        {
            Description = "Run directories, such as runs/dotnet-docs; several are shown on common axes. Or the directory of a sweep, " +
                "or of adapt.",
            Arity = ArgumentArity.OneOrMore,
        };
        var output = new Option<string>("--output")
        {
            Description = "The page to write.",
            HelpName = "file",
            DefaultValueFactory = _ => "report.html",
        };
        var tables = new Option<string?>("--tables")
        {
            Description = "Also write the figures as Parquet files into this folder: runs, steps, evaluations and the figures of " +
                "evaluation*.json and study*.json.", HelpName = "folder",
        };
        var command = new Command("report", "Writes one HTML page, which needs no network: curves, samples, evaluations, and what " +
            "sets the runs apart.") { runs, output, tables };
        command.SetAction(parsed => Write(parsed.GetRequiredValue(runs), parsed.GetRequiredValue(output), parsed.GetValue(tables)));
        return command;
    }

    private static int Write(string[] runs, string output, string? tables)
    {
        var count = Array.Find(runs, SweepRecord.IsIn) is { } sweep
            ? SweepReport.Write(OnlyOne(sweep, "a sweep", runs, tables), output, new StandardError())
            : Array.Find(runs, AdaptResults.IsIn) is { } variants
                ? WriteVariants(OnlyOne(variants, "adapt's directory", runs, tables), output)
                : RunReport.Write(runs, output, new StandardError(), tables);
        Console.WriteLine($"{output}: {HumanFormat.Counted(count, "run")}, {HumanFormat.Bytes(new FileInfo(output).Length)}");
        return ExitCode.Done;
    }

    private static int WriteVariants(string directory, string output)
    {
        var results = AdaptResults.Load(directory);
        AdaptPage.Write(results, output);
        return results.Points.Count;
    }

    // Of several runs that belong together there is a page of its own.
    private static string OnlyOne(string directory, string what, string[] runs, string? tables)
    {
        var inside = Path.Combine(directory, "*");
        if (runs.Length > 1)
            throw new ConfigurationException([new Problem("run", $"{what} has a page of its own, and there are {runs.Length} " +
                $"directories; give {directory} alone, or the runs inside of it, such as {inside}")], "command line");
        if (tables is not null)
            throw new ConfigurationException([new Problem("--tables", $"the page of {what} has no tables of single runs; give its runs, " +
                $"such as {inside}")], "command line");
        return directory;
    }
}
