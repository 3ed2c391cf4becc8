using System.CommandLine;
using Trainer.Training.Spikes;

namespace Trainer.Cli;

internal static class ReplayCommand
{
    internal static Command Create()
    {
        var run = new Argument<string>("run") { Description = "The directory of a run, such as runs/dotnet-docs; it is only read." };
        var step = new Option<long>("--step") { Description = "The step to run again.", HelpName = "number", Required = true };
        var json = new Option<bool>("--json") { Description = "Print all rows and layers as JSON." };
        var command = new Command("replay",
            "Runs one step of a run again and shows what each layer made of it, where numbers leave their range, and its rows' documents.")
        {
            run, step, json,
        };
        command.SetAction(parsed => Processes.Together(group => Replay(
            new StepReplayRequest(parsed.GetRequiredValue(run), parsed.GetRequiredValue(step)) { Processes = group },
            parsed.GetValue(json), tells: group.Rank == 0)));
        return command;
    }

    private static int Replay(StepReplayRequest request, bool json, bool tells)
    {
        var report = StepReplay.Run(request, new StandardError());
        if (!tells) return ExitCode.Done;
        if (json) Console.WriteLine(report.Json);
        else foreach (var line in report.Lines) Console.WriteLine(line);
        return ExitCode.Done;
    }
}
