using System.CommandLine;
using Trainer.Distributed;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Profiling;

namespace Trainer.Cli;

internal static class TrainCommand
{
    internal static Command Create()
    {
        var recipe = new RecipeArguments();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest whole checkpoint of the run." };
        var run = new Option<string?>("--run") { Description = "The run's directory; runs/<name> if not given.", HelpName = "directory" };
        var until = new Option<long?>("--until")
        {
            Description = "End after this step with a checkpoint; the schedule stays that of training.steps, and --resume goes on.",
            HelpName = "step",
        };
        var profile = new Option<string?>("--profile")
        {
            Description = "Time what these steps spend their time on, such as 20:30: a table, profile/step-20-30.json and a trace for " +
                "Perfetto.",
            HelpName = "first:last",
        };
        var attached = new Option<bool>("--attached")
        {
            Description = "Also stop, with a checkpoint, when standard input ends: for a program that starts this one and may be killed.",
        };
        var command = new Command("train", "Trains a model; prepares its data first when that is missing.")
        {
            resume, run, until, profile, attached,
        };
        recipe.AddTo(command);
        command.SetAction(parsed => Processes.Together(group =>
        {
            var loaded = recipe.Load(parsed).Value;
            var request = new TrainingRequest(
                loaded, parsed.GetValue(run) ?? Path.Combine("runs", loaded.Name), parsed.GetValue(resume))
            {
                Processes = group,
                Until = parsed.GetValue(until),
                Profile = parsed.GetValue(profile) is { } range ? ProfileRange.Parse(range) : null,
            };
            return Train(request, group, parsed.GetValue(attached));
        }));
        return command;
    }

    private static int Train(TrainingRequest request, IProcessGroup group, bool attached)
    {
        var directory = request.RunDirectory;
        var progress = new StandardError();
        using var stop = ListenForStop(group, progress);
        if (attached && group.Rank == 0) stop.FollowInput(Console.OpenStandardInput());
        var result = TrainingSession.Run(
            request,
            run => RunMonitor.Open(request.Recipe.Monitoring, run, directory, ConsoleSink.Create(run)),
            progress,
            stop);
        if (group.Rank == 0) Console.WriteLine(Summary(result, directory));
        return result.Outcome == TrainingOutcome.Interrupted ? ExitCode.Interrupted : ExitCode.Done;
    }

    /// <summary>Any process may be told to stop; the first says so.</summary>
    internal static StopSignal ListenForStop(IProcessGroup group, IProgress<string> progress) => StopSignal.Listen(message =>
    {
        if (group.Rank == 0) progress.Report(message);
    });

    internal static string Summary(TrainingResult result, string directory)
    {
        var best = result.BestLoss is { } loss ? $"best validation loss {HumanFormat.Loss(loss)} at step " +
            $"{HumanFormat.Number(result.BestStep!.Value)}" : "not validated";
        return result.Outcome switch
        {
            TrainingOutcome.Interrupted when result.Step == 0 => $"{directory}: interrupted before the first step; go on with --resume",
            TrainingOutcome.Interrupted => $"{directory}: interrupted after step {HumanFormat.Number(result.Step)}, saved; go on with " +
                "--resume",
            TrainingOutcome.Paused => $"{directory}: paused after step {HumanFormat.Number(result.Step)}, saved, {best}; go on with " +
                "--resume",
            _ => $"{directory}: {HumanFormat.Number(result.Step)} steps, {HumanFormat.Compact(result.Tokens)} " +
                $"{result.Unit.Many}, {best}",
        };
    }
}
