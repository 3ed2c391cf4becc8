using System.CommandLine;
using Trainer.Configuration;
using Trainer.Reporting;
using Trainer.Reporting.Monitoring;
using Trainer.Reporting.Sweeps;

namespace Trainer.Cli;

internal static class ReportCommand
{
    internal static Command Create()
    {
        var runs = new Argument<string[]>("run")
        {
            Description = "Run directories, such as runs/dotnet-docs; several are shown on common axes. Or the directory of a sweep.",
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
        var count = Array.Exists(runs, SweepRecord.IsIn)
            ? WriteSweep(runs, output, tables)
            : RunReport.Write(runs, output, new StandardError(), tables);
        Console.WriteLine($"{output}: {HumanFormat.Counted(count, "run")}, {HumanFormat.Bytes(new FileInfo(output).Length)}");
        return ExitCode.Done;
    }

    private static int WriteSweep(string[] runs, string output, string? tables)
    {
        if (runs is not [var sweep])
            throw new ConfigurationException([new Problem("run", $"a sweep has a page of its own, and there are {runs.Length} " +
                "directories; give the sweep's alone, or the runs inside of it")], "command line");
        if (tables is not null)
            throw new ConfigurationException([new Problem("--tables", "a sweep's page has no tables of single runs; give its runs, " +
                $"such as {Path.Combine(sweep, "*")}")], "command line");
        return SweepReport.Write(sweep, output, new StandardError());
    }
}
