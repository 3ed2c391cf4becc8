using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Tasks;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

/// <summary>The options of <c>evaluate</c> that ask a decoder the questions of tasks.</summary>
internal static class TaskSection
{
    private static readonly Option<string[]> Tasks = new("--task")
    {
        Description = "Ask the questions of these tasks instead: JSON files with the fields of lm-evaluation-harness.",
        HelpName = "files",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<int?> Shots = new("--shots")
    {
        Description = "Examples before each question; the task's num_fewshot if not given.",
        HelpName = "N",
    };
    private static readonly Option<int?> Limit = new("--limit")
    {
        Description = "The most questions of a task; all if not given.",
        HelpName = "N",
    };
    private static readonly Option<long?> Seed = new("--seed")
    {
        Description = "What examples are drawn by; 1234 if not given.",
        HelpName = "N",
    };

    internal static void AddTo(Command command, IReadOnlyList<Option> others)
    {
        foreach (var option in (Option[])[Tasks, Shots, Limit, Seed]) command.Add(option);
        command.Validators.Add(result =>
        {
            bool asks = IsGiven(result);
            if (!asks && Array.Find([Shots, Limit, Seed], (Option option) => Is(result, option)) is { } lone)
                result.AddError($"{lone.Name} is for tasks: give --task, or leave it out.");
            if (asks && others.FirstOrDefault(option => Is(result, option)) is { } other)
                result.AddError($"A task has its own questions: leave out {other.Name}, or --task.");
            if (result.GetValue(Shots) < 0) result.AddError($"--shots is {result.GetValue(Shots)}; it must be 0 or more");
            if (result.GetValue(Limit) < 1) result.AddError($"--limit is {result.GetValue(Limit)}; it must be 1 or more");
        });
    }

    internal static bool IsGiven(SymbolResult result) => result.GetValue(Tasks) is { Length: > 0 };

    internal static JsonObject Run(ParseResult parsed, string? data, Checkpoint checkpoint, Func<LanguageModel> load)
    {
        // Before the model is loaded: a mistake in the last file is told at once.
        TaskDefinition[] tasks = [.. parsed.GetRequiredValue(Tasks).Select(TaskDefinition.Load)];
        var options = new TaskOptions { Shots = parsed.GetValue(Shots), Limit = parsed.GetValue(Limit), Data = data is null ? [] : [data] };
        if (parsed.GetValue(Seed) is { } seed) options = options with { Seed = seed };
        using var model = load();
        var evaluator = new TaskEvaluator(model, checkpoint.Tokenizer,
            EndOfText.Of(checkpoint.Tokenizer, checkpoint.Configuration.Data.EndOfDocument));
        Console.WriteLine(checkpoint.Directory);
        Console.WriteLine($"{"task",-24}{"shots",6}{"questions",11}  {"figure",-18}{"mean",9}{"error",9}");
        var reports = new JsonArray();
        foreach (var task in tasks)
        {
            var report = evaluator.Evaluate(task, options);
            foreach (var (index, figure) in report.Figures.Index())
                Console.WriteLine((index == 0
                    ? $"{report.Task,-24}{report.Shots,6}{HumanFormat.Number(report.Questions),11}  "
                    : new string(' ', 43)) + string.Create(
                    CultureInfo.InvariantCulture, $"{figure.Name,-18}{figure.Value,9:0.0000}{figure.StandardError,9:0.0000}"));
            reports.Add(JsonSerializer.SerializeToNode(report, JsonSerializerOptions.Web));
        }
        return new JsonObject { ["tasks"] = reports };
    }

    private static bool Is(SymbolResult result, Option option) => result.GetResult(option) is { Implicit: false };
}
