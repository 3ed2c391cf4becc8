using System.CommandLine;
using System.Globalization;
using Trainer.Distributed;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Experiments;

namespace Trainer.Cli;

internal static class BranchCommand
{
    internal static Command Create()
    {
        var original = new Argument<string>("run") { Description = "The directory of a run, such as runs/dotnet-docs." };
        var at = new Option<long>("--at")
        {
            Description = "The step of the checkpoint to go on from.", HelpName = "step", Required = true,
        };
        var settings = SettingsOption.Create("What the branch has otherwise, such as optimizer.learningRate=1e-3; may be repeated.");
        var directory = new Option<string?>("--run")
        {
            Description = "The branch's directory; beside the run and named after it, the step and the settings, if not given.",
            HelpName = "directory",
        };
        var command = new Command("branch", "Trains a twin of a run from one of its checkpoints and compares the two.")
        {
            original, at, settings, directory,
        };
        command.SetAction(parsed => Processes.Together(group => Branch(
            new BranchRequest(
                parsed.GetRequiredValue(original), parsed.GetValue(at), parsed.GetValue(settings) ?? [], parsed.GetValue(directory))
            {
                Processes = group,
            },
            group)));
        return command;
    }

    private static int Branch(BranchRequest request, IProcessGroup group)
    {
        var progress = new StandardError();
        var branch = RunBranch.Create(request);
        using var stop = TrainCommand.ListenForStop(group, progress);
        var result = TrainingSession.Run(
            new TrainingRequest(branch.Recipe, branch.Directory, Resume: true) { Processes = group },
            run =>
            {
                var sink = RunMonitor.Open(branch.Recipe.Monitoring, run, branch.Directory, ConsoleSink.Create(run));
                sink.Message(branch.Origin);
                return sink;
            },
            progress,
            stop);
        var interrupted = result.Outcome == TrainingOutcome.Interrupted;
        if (group.Rank == 0)
        {
            Console.WriteLine(TrainCommand.Summary(result, branch.Directory));
            if (interrupted) Console.WriteLine(branch.ResumeCommand);
            else Print(BranchComparison.Of(request, branch, progress.Report));
        }
        return interrupted ? ExitCode.Interrupted : ExitCode.Done;
    }

    private static void Print(BranchComparison comparison)
    {
        if (comparison.Advice is { } advice) Console.WriteLine(advice);
        if (comparison.Losses.Count == 0) return;
        Console.WriteLine("validation loss       branch    original  difference");
        foreach (var row in comparison.Losses)
            Console.WriteLine($"step {HumanFormat.Number(row.Step),11}  {HumanFormat.Loss(row.Branch),10}  " +
                $"{HumanFormat.Loss(row.Original),10}  {Signed(row.Difference)}");
    }

    private static string Signed(double difference) =>
        (difference == 0 ? "equal" : difference.ToString("+0.0000;-0.0000", CultureInfo.InvariantCulture)).PadLeft(10);
}
