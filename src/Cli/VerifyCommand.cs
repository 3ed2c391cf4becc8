using System.CommandLine;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Experiments;

namespace Trainer.Cli;

internal static class VerifyCommand
{
    // What differs after the first differences follows from them.
    private const int Shown = 10;

    internal static Command Create()
    {
        var run = new Argument<string>("run") { Description = "The directory of a run, such as runs/dotnet-docs; it is only read." };
        var steps = new Option<string>("--steps")
        {
            Description = "The steps to compute again, such as 4000:4500 for steps 4,001 to 4,500.",
            HelpName = "from:to",
            Required = true,
        };
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        var command = new Command("verify", "Computes steps of a run again and compares records and checkpoints bit for bit.")
        {
            run, steps, json,
        };
        command.SetAction(parsed => Processes.Together(group =>
        {
            var (after, through) = Range(parsed.GetRequiredValue(steps));
            var request = new VerificationRequest(parsed.GetRequiredValue(run), after, through) { Processes = group };
            return Verify(request, parsed.GetValue(json), tells: group.Rank == 0);
        }));
        return command;
    }

    private static (long After, long Through) Range(string text) =>
        StepRange.Parse(text) ?? throw new ConfigurationException([new Problem("--steps", $"\"{text}\" is no range of steps; give the " +
            "step to begin after and the one to end with, such as 4000:4500")], "command line");

    private static int Verify(VerificationRequest request, bool json, bool tells)
    {
        var report = RunVerification.Run(request, new StandardError());
        if (tells && json) Console.WriteLine(JsonSerializer.Serialize(report, JsonSerializerOptions.Web));
        else if (tells) Print(request, report);
        return report.Differences.Count == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    private static void Print(VerificationRequest request, VerificationReport report)
    {
        var verdict = report.Differences.Count == 0 ? "equal bit for bit" : "NOT equal";
        Console.WriteLine($"{request.Run}: steps {HumanFormat.Number(report.Start + 1)} to {HumanFormat.Number(report.End)} computed " +
            $"again, {verdict}");
        if (report.Start < request.After)
            Console.WriteLine($"  begun at step {HumanFormat.Number(report.Start)}, for no checkpoint of step " +
                $"{HumanFormat.Number(request.After)} is kept");
        Console.WriteLine($"  {HumanFormat.Counted(report.Records, "record")} of loss and gradient norm compared");
        Console.WriteLine(report.Checkpoints.Count == 0
            ? "  no checkpoint lies in these steps: weights could not be compared"
            : $"  every tensor compared of the checkpoints of {string.Join(", ", report.Checkpoints.Select(HumanFormat.Number))}");
        foreach (var difference in report.Differences.Take(Shown))
            Console.WriteLine($"  step {HumanFormat.Number(difference.Step)}, {difference.What}: {difference.Detail}");
        if (report.Differences.Count > Shown)
            Console.WriteLine($"  and {HumanFormat.Number(report.Differences.Count - Shown)} more");
        if (report.Differences.Count == 0) return;
        Console.WriteLine(report.LikelyCauses.Count == 0
            ? "libtorch, processor and threads are those of the run's log; left are changed files, another build, or a faulty machine"
            : "a likely cause, which differs from the run's log:");
        foreach (var cause in report.LikelyCauses) Console.WriteLine($"  {cause}");
    }
}
