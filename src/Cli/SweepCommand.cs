using System.CommandLine;
using System.Text.Json;
using Trainer.Reporting.Sweeps;
using Trainer.Training;
using Trainer.Training.Sweeps;

namespace Trainer.Cli;

internal static class SweepCommand
{
    internal static Command Create()
    {
        var recipe = new Argument<string>("config") { Description = "The recipe, a JSON file such as configs/dotnet-docs.json." };
        var settings = SettingsOption.Create("A setting and its values, such as optimizer.learningRate=1e-3,2e-3, of which all " +
            "combinations are trained; or a range, such as 1e-4..1e-2, for --random.");
        var seeds = Count("--seeds", "Runs of each combination: with the recipe's seed, the next one, and so on.", 1);
        var jobs = Count("--jobs", "Runs that are trained at once, each with its share of the processors.", 1);
        var random = new Option<int?>("--random")
        {
            Description = "Draw so many combinations instead of training all. A range is drawn from evenly, or evenly in its logarithm " +
                "where it is positive and its ends are a factor of 10 or more apart; whole numbers where its ends are such.",
            HelpName = "number",
        };
        var seed = new Option<long?>("--seed")
        {
            Description = "What random combinations are drawn from; 1 if not given.", HelpName = "number",
        };
        var halving = new Option<int?>("--halving")
        {
            Description = "Stop early: after steps/F^k steps only the best 1/F of the combinations go on (successive halving).",
            HelpName = "F",
        };
        var run = new Option<string?>("--run")
        {
            Description = "The sweep's directory; runs/<name>-sweep if not given.", HelpName = "directory",
        };
        var json = new Option<bool>("--json") { Description = "Print the results as JSON." };
        var command = new Command("sweep", "Trains a recipe with many combinations of settings and compares them; goes on where it was " +
            "stopped or killed.") { recipe, settings, seeds, jobs, random, seed, halving, run, json };
        command.SetAction(parsed => Run(
            new SweepRequest(parsed.GetRequiredValue(recipe), parsed.GetValue(settings) ?? [])
            {
                Directory = parsed.GetValue(run),
                Seeds = parsed.GetValue(seeds),
                Jobs = parsed.GetValue(jobs),
                Random = parsed.GetValue(random),
                DrawSeed = parsed.GetValue(seed),
                Halving = parsed.GetValue(halving),
            }, parsed.GetValue(json)));
        return command;
    }

    private static Option<int> Count(string name, string description, int usual) =>
        new(name) { Description = description, HelpName = "number", DefaultValueFactory = _ => usual };

    private static int Run(SweepRequest request, bool json)
    {
        var progress = new StandardError();
        using var stop = StopSignal.Listen(signal => progress.Report($"{signal}; runs under way do so"));
        var (directory, isDone) = Sweep.Run(request, ThisProgram.Command, progress, stop);
        var results = SweepResults.Read(directory, progress.Report);
        Console.WriteLine(json
            ? JsonSerializer.Serialize(results, JsonSerializerOptions.Web)
            : string.Join(Environment.NewLine, SweepTable.Lines(directory, results)));
        if (!isDone)
        {
            progress.Report($"{directory}: not all runs are done; the same command goes on");
            return ExitCode.Interrupted;
        }
        if (results.Best is not null) return ExitCode.Done;
        progress.Report($"{directory}: no configuration was trained to its end; the runs' log.txt say why");
        return ExitCode.Failed;
    }
}
