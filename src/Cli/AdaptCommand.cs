using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Trainer.Checkpoints;
using Trainer.Reporting.Adapting;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Adapting;

namespace Trainer.Cli;

internal static partial class AdaptCommand
{
    internal static Command Create()
    {
        var run = new Argument<string>("run") { Description = "The directory of a trained run, such as runs/dotnet-docs." };
        var cache = new Option<double?>("--cache")
        {
            Description = "The most cache for each token of the context, on average and in float32: 1KiB/token, 800B/token.",
            HelpName = "bytes/token",
            Required = true,
            CustomParser = result => Parsed(result, BytesPerToken(result.Tokens[0].Value), "a size such as 1KiB/token or 800B/token"),
        };
        var context = new Option<int?>("--context")
        {
            Description = "Tokens of the context; that of the model if not given.", HelpName = "N",
        };
        var loss = new Option<double?>("--max-loss")
        {
            Description = "How much the validation loss may grow, such as +1% (the default).",
            HelpName = "share",
            CustomParser = result => Parsed(result, Share(result.Tokens[0].Value), "a share such as +1%"),
        };
        var steps = new Option<long?>("--steps")
        {
            Description = "Steps that each variant is trained for; a twentieth of the run's if not given.", HelpName = "N",
        };
        var scaling = new Option<string[]>("--rope-scaling")
        {
            Description = "How rotary positions are stretched to a longer context: " +
                $"{string.Join(", ", ContextExtension.Methods)}; yarn if not given. Of several each is tried.",
            HelpName = "method",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["yarn"],
        };
        scaling.AcceptOnlyFromAmong([.. ContextExtension.Methods]);
        var settings = SettingsOption.Create("A setting of the run's recipe that differs while variants are trained, such as " +
            "optimizer.learningRate=3e-4.");
        var directory = new Option<string?>("--run")
        {
            Description = "Where the variants go; the run's directory with -adapt behind it if not given.", HelpName = "directory",
        };
        var json = new Option<bool>("--json") { Description = "Print the results as JSON." };
        var command = new Command("adapt", "Finds the variant of a trained model (fewer key-value heads, windows, a longer context) that " +
            "loses least under a budget of cache; goes on where it was stopped or killed.")
        {
            run, cache, context, loss, steps, settings, scaling, directory, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(context) is null && result.Has(scaling))
                result.AddError("--rope-scaling is how a longer context is had: give that as --context, or leave it out.");
            if (result.GetValue(steps) < 1) result.AddError($"--steps is {result.GetValue(steps)}, but must be 1 or more.");
        });
        command.SetAction(parsed => Adapt(new AdaptRequest(parsed.GetRequiredValue(run), parsed.GetValue(cache)!.Value)
        {
            Context = parsed.GetValue(context),
            MaxLoss = parsed.GetValue(loss) ?? 0.01,
            Steps = parsed.GetValue(steps),
            Settings = parsed.GetValue(settings) ?? [],
            Scaling = parsed.GetValue(scaling) ?? ["yarn"],
            Directory = parsed.GetValue(directory),
        }, parsed.GetValue(json)));
        return command;
    }

    private static int Adapt(AdaptRequest request, bool json)
    {
        var progress = new StandardError();
        using var stop = StopSignal.Listen(signal => progress.Report($"{signal}; the run under way does so"));
        var (directory, results, isDone) = Adaptation.Run(request, ThisProgram.Command, progress, stop);
        if (json) Console.WriteLine(results.ToJson());
        else Print(results);
        if (!isDone)
        {
            progress.Report($"{directory}: not all variants are measured; the same command goes on");
            return ExitCode.Interrupted;
        }
        progress.Report($"one page of it: {Path.Combine(directory, AdaptPage.FileName)}");
        if (results.Chosen is { } chosen)
        {
            progress.Report($"taken: {chosen.Name}; its recipe is {Path.Combine(chosen.Run, "config.json")}, and {chosen.Run} has its " +
                $"weights after {results.Steps} steps: train it on with a recipe that has initialize.from {chosen.Run}");
            return ExitCode.Done;
        }
        progress.Report(results.Points.Where(point => point.Error is null).MinBy(point => point.Loss) is { } closest
            ? $"no variant keeps the loss within {Percent(results.MaxLoss)}; the closest is {closest.Name} " +
                $"({Percent(results.Change(closest))}): give more --cache, --max-loss or --steps"
            : "no variant was trained to its end; the runs' log.txt say why");
        return ExitCode.Failed;
    }

    private static void Print(AdaptResults results)
    {
        Console.WriteLine($"{results.Source}: context {HumanFormat.Number(results.Context)}, at most " +
            $"{HumanFormat.Bytes((long)results.Budget)} of cache a token and {Percent(results.MaxLoss)} of loss; " +
            $"{HumanFormat.Number(results.Steps)} steps each");
        string[][] rows =
        [
            ["variant", "loss", "change", "cache/token", "tokens/s", ""],
            Cells(results.Original, "", "as it is"),
            .. results.Points.Select(point => Cells(point, Percent(results.Change(point)),
                point.Error ?? (point == results.Chosen ? "taken" : point.IsOnFront ? "front" : ""))),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (var row in rows)
            Console.WriteLine(string.Join("  ", row.Zip(widths, (cell, width) => cell.PadLeft(width))).TrimEnd());
    }

    private static string[] Cells(AdaptPoint point, string change, string remark) => point.Error is null
        ? [point.Name, HumanFormat.Loss(point.Loss), change, HumanFormat.Bytes((long)point.CacheBytesPerToken),
            HumanFormat.Compact(point.TokensPerSecond), remark]
        : [point.Name, "–", "", HumanFormat.Bytes((long)point.CacheBytesPerToken), "–", remark];

    private static string Percent(double share) => (share * 100).ToString("+0.00;-0.00", CultureInfo.InvariantCulture) + " %";

    private static double? Parsed(System.CommandLine.Parsing.ArgumentResult result, double? value, string example)
    {
        if (value is null) result.AddError($"{result.Argument.Name} is \"{result.Tokens[0].Value}\"; give {example}.");
        return value;
    }

    private static double? BytesPerToken(string text)
    {
        if (Size().Match(text) is not { Success: true } match) return null;
        var unit = match.Groups[2].Value.ToUpperInvariant() switch { "K" => 1024, "M" => 1 << 20, _ => 1 };
        return Number(match.Groups[1].Value) * unit is > 0 and var size ? size : null;
    }

    private static double? Share(string text) =>
        Rate().Match(text) is { Success: true } match ? Number(match.Groups[1].Value) / 100 : null;

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^(\d+(?:\.\d+)?) ?([KM]?)(?:iB|B)?(?:/token)?$", RegexOptions.IgnoreCase)]
    private static partial Regex Size();

    [GeneratedRegex(@"^\+?(\d+(?:\.\d+)?) ?%$")]
    private static partial Regex Rate();
}
