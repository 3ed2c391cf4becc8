using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Tasks;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>The options of <c>evaluate</c> that ask a decoder the questions of tasks.</summary>
internal static class TaskSection
{
    private static readonly Option<string[]> Tasks = new("--task")
    {
        Description = "Ask the questions of these tasks instead: names (--task list shows them), or JSON files with the fields of " +
            "lm-evaluation-harness.",
        HelpName = "tasks",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<int?> Shots = new("--shots")
    {
        Description = "Examples before each question; the task's num_fewshot if not given.",
        HelpName = "N",
    };
    private static readonly Option<int?> Limit = new("--limit")
    {
        Description = "The most questions of a task; all if not given. Of tasks whose questions are made, how many.",
        HelpName = "N",
    };
    private static readonly Option<string?> Length = new("--length")
    {
        Description = "For RULER: tokens of its texts and their answers, such as 1024,2048.",
        HelpName = "lengths",
    };
    private static readonly Option<long?> Seed = new("--seed")
    {
        Description = "What examples are drawn by, and questions that are made; 1234 if not given.",
        HelpName = "N",
    };

    internal static IReadOnlyList<Option> Options => [Tasks, Shots, Limit, Length, Seed];

    internal static void AddTo(Command command, IReadOnlyList<Option> others)
    {
        foreach (var option in Options) command.Add(option);
        command.Validators.Add(result =>
        {
            bool asks = IsGiven(result);
            if (!asks && Array.Find<Option>([Shots, Limit, Length, Seed], result.Has) is { } lone)
                result.AddError($"{lone.Name} is for tasks: give --task, or leave it out.");
            if (asks && others.FirstOrDefault(result.Has) is { } other)
                result.AddError($"A task has its own questions: leave out {other.Name}, or --task.");
            if (result.GetValue(Shots) < 0) result.AddError($"--shots is {result.GetValue(Shots)}; it must be 0 or more");
            if (result.GetValue(Limit) < 1) result.AddError($"--limit is {result.GetValue(Limit)}; it must be 1 or more");
        });
    }

    internal static bool IsGiven(SymbolResult result) => result.GetValue(Tasks) is { Length: > 0 };

    /// <summary>Whether the tasks are to be shown that are known.</summary>
    internal static bool Lists(SymbolResult result) => result.GetValue(Tasks) is ["list"];

    internal static void PrintKnown()
    {
        foreach (var task in KnownTasks.All)
            Console.WriteLine($"{task.Name,-30}{(task.NeedsData ? "--data" : task.HasLengths ? "--length" : ""),-10}{task.About}"
                + (task.Members.Count == 0 ? "" : $": {string.Join(", ", task.Members.Select(member => member.Name))}"));
    }

    internal static JsonObject Run(ParseResult parsed, string? data, Checkpoint checkpoint, Func<LanguageModel> load)
    {
        // Before the model is loaded: a mistake in the last file is told at once.
        var tasks = TaskEntry.Of(parsed.GetRequiredValue(Tasks));
        var options = new TaskOptions
        {
            Shots = parsed.GetValue(Shots), Limit = parsed.GetValue(Limit), Data = data is null ? [] : [data],
            Lengths = parsed.GetValue(Length) is { } lengths ? TokenArguments.Lengths(lengths, Length.Name) : [],
            DatasetsDirectory = TrainingRequest.DefaultDatasetsDirectory, Progress = new StandardError(),
        };
        if (parsed.GetValue(Seed) is { } seed) options = options with { Seed = seed };
        if (options.Lengths.Count > 0 && !tasks.Any(task => task.HasLengths))
            throw new UserException("--length is for the tasks of RULER, such as ruler; leave it out");
        if (data is not null && !tasks.Any(task => task.NeedsData))
            throw new UserException("--data is given, and the questions of these tasks are made here; leave it out");
        using var model = load();
        var evaluator = new TaskEvaluator(model, checkpoint.Tokenizer,
            EndOfText.Of(checkpoint.Tokenizer, checkpoint.Configuration.Data.EndOfDocument));
        Console.WriteLine(checkpoint.Directory);
        var reports = new JsonArray();
        foreach (var group in tasks.GroupBy(task => task.HasLengths).OrderBy(group => group.Key))
        {
            Console.WriteLine(group.Key
                ? $"{"task",-30}{string.Concat(options.Lengths.Select(length => $"{HumanFormat.Number(length),18}"))}"
                : $"{"task",-30}{"shots",6}{"questions",11}  {"figure",-18}{"mean",9}{"error",9}");
            foreach (var report in group.SelectMany(task => Printed(evaluator.Evaluate(task, options), options)))
                reports.Add(JsonFile.Object(report));
        }
        return new JsonObject { ["tasks"] = reports };
    }

    // A task of lengths has a report for each of them, which are a row.
    private static IEnumerable<TaskReport> Printed(IEnumerable<TaskReport> reports, TaskOptions options)
    {
        var row = new List<TaskReport>();
        foreach (var report in reports)
        {
            yield return report;
            if (report.Length is null)
            {
                Print(report);
                continue;
            }
            row.Add(report);
            if (row.Count < options.Lengths.Count) continue;
            Console.WriteLine($"{row[0].Task,-30}{string.Concat(row.Select(one => string.Create(CultureInfo.InvariantCulture,
                $"{$"{one.Figures[0].Value:0.000} ± {one.Figures[0].StandardError:0.000}",18}")))}");
            row.Clear();
        }
    }

    private static void Print(TaskReport report)
    {
        foreach (var (index, figure) in report.Figures.Index())
            Console.WriteLine((index == 0
                ? $"{report.Task,-30}{report.Shots,6}{HumanFormat.Number(report.Questions),11}  "
                : new string(' ', 49)) + string.Create(
                CultureInfo.InvariantCulture, $"{figure.Name,-18}{figure.Value,9:0.0000}{figure.StandardError,9:0.0000}"));
    }
}
