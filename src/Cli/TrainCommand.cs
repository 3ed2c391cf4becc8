using System.CommandLine;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class TrainCommand
{
    internal static Command Create()
    {
        var recipe = new RecipeArguments();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest whole checkpoint of the run." };
        var run = new Option<string?>("--run") { Description = "The run's directory; runs/<name> if not given.", HelpName = "directory" };
        var command = new Command("train", "Trains a model; prepares its data first when that is missing.") { resume, run };
        recipe.AddTo(command);
        command.SetAction(parsed => Train(recipe.Load(parsed).Value, parsed.GetValue(run), parsed.GetValue(resume)));
        return command;
    }

    private static int Train(Recipe recipe, string? directory, bool resume)
    {
        directory ??= Path.Combine("runs", recipe.Name);
        var progress = new StandardError();
        using var stop = StopSignal.Listen(progress.Report);
        var result = TrainingSession.Run(
            new TrainingRequest(recipe, directory, resume),
            run => RunMonitor.Open(recipe.Monitoring, run, directory, ConsoleSink.Create(run)),
            progress,
            stop);
        Console.WriteLine(Summary(result, directory));
        return result.Outcome == TrainingOutcome.Interrupted ? ExitCode.Interrupted : ExitCode.Done;
    }

    private static string Summary(TrainingResult result, string directory)
    {
        var best = result.BestLoss is { } loss ? $"best validation loss {HumanFormat.Loss(loss)} at step " +
            $"{HumanFormat.Number(result.BestStep!.Value)}" : "not validated";
        return result.Outcome == TrainingOutcome.Interrupted
            ? $"{directory}: interrupted after step {HumanFormat.Number(result.Step)}, saved; go on with --resume"
            : $"{directory}: {HumanFormat.Number(result.Step)} steps, {HumanFormat.Compact(result.Tokens)} tokens, {best}";
    }
}
