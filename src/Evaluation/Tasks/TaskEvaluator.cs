using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;

namespace Trainer.Evaluation.Tasks;

/// <summary>How a task is run.</summary>
public sealed record TaskOptions
{
    /// <summary>Examples before each question; null for the task's own number.</summary>
    public int? Shots { get; init; }

    /// <summary>The most questions, from the first on; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>What examples are drawn by, and questions that are made.</summary>
    public long Seed { get; init; } = 1234;

    /// <summary>Files of records, folders or globs in place of the task's own; empty for those.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>Tokens of a prompt and its answer, for tasks that have lengths (RULER), one report for each.</summary>
    public IReadOnlyList<int> Lengths { get; init; } = [];

    /// <summary>Where corpora that the SDK brings are built.</summary>
    public string DatasetsDirectory { get; init; } = "datasets";

    /// <summary>Told what is built; null for nobody.</summary>
    public IProgress<string>? Progress { get; init; }
}

/// <summary>Asks a decoder the questions of a task.</summary>
/// <param name="model">The decoder.</param>
/// <param name="tokenizer">Its tokenizer.</param>
/// <param name="end">The token that ends a text, and so a written answer; null for none.</param>
public sealed class TaskEvaluator(LanguageModel model, Tokenizer tokenizer, int? end = null)
{
    /// <summary>Evaluates a task.</summary>
    /// <exception cref="UserException">The model is no decoder, or the task's data do not fit the task or the model.</exception>
    public TaskReport Evaluate(TaskDefinition task, TaskOptions options)
    {
        int shots = options.Shots ?? task.NumFewshot;
        IReadOnlyList<DataRecord> records = TaskData.Questions(task, options);
        return Evaluate(task, records, shots > 0 ? TaskData.Examples(task, options, records) : [], options);
    }

    /// <summary>Evaluates a task by name, or the tasks of a group and then the group: each as soon as it is known.</summary>
    /// <exception cref="UserException">As above.</exception>
    public IEnumerable<TaskReport> Evaluate(TaskEntry entry, TaskOptions options)
    {
        if (entry.Definition is not { } task) return EvaluateGroup(entry, options);
        if (entry.Make is not { } make) return [Evaluate(task, options)];
        if (!entry.HasLengths) return [Evaluate(task, make(Making(options, null)), options)];
        if (options.Lengths.Count == 0)
            throw new UserException($"task {entry.Name} needs --length: how many tokens are its texts to have, such as 1024,2048?");
        return options.Lengths.Select(length => Evaluate(task, make(Making(options, length)), options) with { Length = length });
    }

    // A group's figures are over its tasks, those of inner groups among them; with lengths, one of each.
    private IEnumerable<TaskReport> EvaluateGroup(TaskEntry group, TaskOptions options)
    {
        List<TaskReport> reports = [];
        foreach (TaskReport report in group.Members.SelectMany(member => Evaluate(member, options)))
        {
            reports.Add(report);
            yield return report;
        }
        foreach (IGrouping<int?, TaskReport> alike in reports.Where(report => report.Tasks is null).GroupBy(report => report.Length))
        {
            TaskReport[] tasks = [.. alike];
            yield return new(group.Name, tasks.Max(task => task.Shots), tasks.Sum(task => task.Questions),
                TaskScores.OfGroup(tasks, group.Metrics is { } metrics
                    ? [.. metrics.Select(metric => metric.Metric)]
                    : [.. tasks[0].Figures.Select(figure => figure.Name)]))
            {
                Tasks = [.. tasks.Select(task => task.Task)], Length = alike.Key,
            };
        }
    }

    private TaskMaking Making(TaskOptions options, int? length) => new(tokenizer, model.ContextLength, length, options);

    private TaskReport Evaluate(TaskDefinition task, MadeTask made, TaskOptions options) => Evaluate(
        task with
        {
            TestSplit = "questions", FewshotSplit = "examples", // made apart
            GenerationKwargs = task.GenerationKwargs with { MaxGenToks = made.AnswerTokens ?? task.GenerationKwargs.MaxGenToks },
        }, made.Questions, made.Examples, options);

    internal TaskReport Evaluate(
        TaskDefinition task, IReadOnlyList<DataRecord> records, IReadOnlyList<DataRecord> examples, TaskOptions options)
    {
        if (model.Options is not DecoderOptions)
            throw new UserException("tasks are for decoders, which continue a text; this model does not");
        TaskPrompts prompts = new(task, examples, options.Shots ?? task.NumFewshot, options.Seed);
        IReadOnlyList<TaskQuestion> questions = prompts.Of(records.Take(options.Limit ?? int.MaxValue));
        using EvaluationMode mode = EvaluationMode.Of(model);
        return new(task.Task, prompts.Shots, questions.Count, task.OutputType switch
        {
            TaskKind.MultipleChoice => TaskScores.OfChoices(task.Metrics, Choose(questions)),
            TaskKind.Loglikelihood =>
                TaskScores.OfContinuations(task.Metrics, [.. Score(questions).Select(score => (score.LogLikelihood, score.IsGreedy))]),
            _ => TaskScores.OfTexts(task.Metrics, Write(task, questions)),
        });
    }

    private ScoredChoices[] Choose(IReadOnlyList<TaskQuestion> questions)
    {
        Continuation[] scores = Score(questions);
        int first = 0;
        return [.. questions.Select(question =>
        {
            Continuation[] own = scores[first..(first += question.Requests.Count)];
            return new ScoredChoices(question.Choices, [.. own.Select(score => score.LogLikelihood)],
                [.. own.Select(score => score.IsGreedy)], question.RightChoices, question.Labels);
        })];
    }

    private Continuation[] Score(IReadOnlyList<TaskQuestion> questions)
    {
        TaskQuestion[] owners = [.. questions.SelectMany(question => question.Requests.Select(_ => question))];
        return new ContinuationScorer(model, tokenizer).Score([.. questions.SelectMany(question => question.Requests)],
            index => message => owners[index].Record.Wrong(message));
    }

    private (string, IReadOnlyList<string>)[] Write(TaskDefinition task, IReadOnlyList<TaskQuestion> questions)
    {
        using TextGenerator generator = new(model, tokenizer, model.Device, end);
        return [.. questions.Select(question => (Answer(generator, question, task.GenerationKwargs), question.Targets))];
    }

    // No more is written than up to the stop. As in the harness, a prompt that leaves no room for the answer loses its beginning.
    private string Answer(TextGenerator generator, TaskQuestion question, TaskGeneration generation)
    {
        int[] prompt = [.. generator.Beginning, .. tokenizer.Encode(question.Prompt)];
        int room = Math.Max(1, model.ContextLength - generation.MaxGenToks);
        if (prompt.Length == 0) throw question.Record.Wrong("the prompt is empty, and a decoder continues a text");
        if (prompt.Length > model.ContextLength || (prompt.Length > room && room >= Math.Max(2, model.PrefixLength)))
            prompt = prompt[^Math.Min(prompt.Length, Math.Max(room, Math.Max(1, model.PrefixLength)))..];
        GenerationOptions greedy = new() { Tokens = generation.MaxGenToks, Sampling = new() { Greedy = true } };
        StreamingDecoder decoder = tokenizer.CreateDecoder();
        string written = "";
        foreach (int id in generator.Generate(prompt, greedy).TakeWhile(id => id != end))
        {
            written += decoder.Push(id);
            if (Stop(written, generation.Until) is { } before) return before;
        }
        written += decoder.Flush();
        return Stop(written, generation.Until) ?? written;
    }

    private static string? Stop(string written, IReadOnlyList<string> until)
    {
        int stop = until.Select(text => written.IndexOf(text, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        return stop >= 0 ? written[..stop] : null;
    }
}
