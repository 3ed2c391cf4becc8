using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using Trainer.Reporting.Monitoring;
using Trainer.Training;
using Trainer.Training.Plan;

namespace Trainer.Cli;

/// <summary>The options of <c>plan</c> that ask for a recipe instead of planning one.</summary>
internal sealed class GoalArguments
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private const double MostSeconds = 366 * 86400;

    private readonly Option<string?> data = new("--data")
    {
        Description = "A text to write a recipe for: a file, a folder, a glob, or dotnet-docs. Machine and text are measured for a minute.",
        HelpName = "path",
    };
    private readonly Option<TimeSpan?> time = new("--time")
    {
        Description = "How long training may take, such as 90s, 10m or 2h: the size of the model follows.",
        HelpName = "duration",
        CustomParser = argument =>
        {
            var seconds = Quantity(argument, "10m", ("s", 1), ("m", 60), ("h", 3600), ("d", 86400));
            if (seconds is null) return null;
            if (seconds <= MostSeconds) return TimeSpan.FromSeconds(seconds.Value);
            argument.AddError($"{argument.Argument.Name} is {argument.Tokens[0].Value}; it must be at most a year");
            return null;
        },
    };
    private readonly Option<int?> depth = new("--depth")
    {
        Description = "The number of layers, from which width, heads, batch, learning rates and tokens follow, and the time.",
        HelpName = "N",
    };
    private readonly Option<long?> memory = new("--memory")
    {
        Description = "The most memory that tensors may take in training, such as 800M or 6G; by default four fifths of the machine's. " +
            "The program itself takes some 300 MB more.",
        HelpName = "bytes",
        CustomParser = argument => (long?)Quantity(argument, "6G", ("M", 1 << 20), ("G", 1 << 30)),
    };
    private readonly Option<string?> output = new("--out")
    {
        Description = "Where to write the recipe; by default to standard output.",
        HelpName = "file",
    };

    internal void AddTo(Command command)
    {
        foreach (var option in (Option[])[data, time, depth, memory, output]) command.Add(option);
        command.Validators.Add(result =>
        {
            if (IsGiven(result) && result.GetValue(data) is null) result.AddError("--data is missing: which text is the recipe for?");
        });
    }

    internal bool IsGiven(CommandResult result) =>
        ((Option[])[data, time, depth, memory, output]).Any(result.Has);

    internal int Find(ParseResult parsed, bool json)
    {
        var goal = new RecipeGoal
        {
            Data = parsed.GetRequiredValue(data)!,
            Time = parsed.GetValue(time),
            Depth = parsed.GetValue(depth),
            Memory = parsed.GetValue(memory),
        };
        if (parsed.GetValue(output) is { } taken) RecipePlan.RequireFree(taken);
        var plan = RecipeSearch.Find(goal, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
        string? path = parsed.GetValue(output);
        if (path is not null) plan.Save(path);
        Print(plan, path is null || json ? Console.Error : Console.Out);
        if (path is not null)
            (json ? Console.Error : Console.Out).WriteLine($"{path}: train it with  dotnet run -- train {path}");
        if (json) Console.WriteLine(JsonSerializer.Serialize(plan, Json));
        else if (path is null) Console.Write(plan.Text);
        return ExitCode.Done;
    }

    private static void Print(RecipePlan plan, TextWriter to)
    {
        foreach (var reason in plan.Reasons) to.WriteLine($"  {reason}");
        to.WriteLine($"{"parameters",-30} {HumanFormat.Parameters(plan.Parameters)}");
        to.WriteLine($"{"tokens",-30} {HumanFormat.Compact(plan.Tokens)} in {HumanFormat.Number(plan.Steps)} steps, " +
            string.Create(CultureInfo.InvariantCulture, $"{plan.Epochs:0.00} epochs"));
        to.WriteLine($"{"time",-30} {HumanFormat.Estimate(TimeSpan.FromSeconds(plan.Seconds))}");
        if (plan.PeakBytes is { } peak) to.WriteLine($"{"memory",-30} {HumanFormat.Bytes(peak)} of tensors, and the program itself");
        if (plan.Loss is { } loss)
            to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"validation loss",-30} about {loss:0.00} nats a token"));
    }

    private static double? Quantity(ArgumentResult argument, string example, params (string Unit, double Factor)[] units)
    {
        var text = argument.Tokens is [var token] ? token.Value : "";
        foreach (var (unit, factor) in units)
            if (text.EndsWith(unit, StringComparison.OrdinalIgnoreCase)
                && double.TryParse(text[..^unit.Length], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number > 0)
                return number * factor;
        argument.AddError($"{argument.Argument.Name} '{text}' is not allowed; give a number with a unit " +
            $"({string.Join(", ", units.Select(each => each.Unit))}), such as {example}");
        return null;
    }
}
