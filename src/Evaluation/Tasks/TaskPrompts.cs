using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Records;

namespace Trainer.Evaluation.Tasks;

/// <summary>A question: what the model reads before each choice (different only where the choices are questions), and what may follow.
/// </summary>
internal sealed record TaskQuestion(DataRecord Record, string Prompt)
{
    public IReadOnlyList<(string Context, string Continuation)> Requests { get; init; } = [];

    public IReadOnlyList<string> Choices { get; init; } = [];

    public IReadOnlyList<int> RightChoices { get; init; } = [];

    public IReadOnlyList<int>? Labels { get; init; }

    public IReadOnlyList<string> Targets { get; init; } = [];
}

/// <summary>Writes the questions of a task, as lm-evaluation-harness does: description, examples, question. Examples are the ones that it
/// draws with the same seed.</summary>
internal sealed class TaskPrompts
{
    private readonly TaskDefinition task;
    private readonly TaskTemplates templates;
    private readonly IReadOnlyList<DataRecord> examples;
    private readonly bool mayMeetItself;
    private readonly PythonRandom random;

    /// <param name="task">The task.</param>
    /// <param name="examples">Where examples come from; not read if there are to be none.</param>
    /// <param name="shots">Examples before each question.</param>
    /// <param name="seed">What they are drawn by.</param>
    public TaskPrompts(TaskDefinition task, IReadOnlyList<DataRecord> examples, int shots, long seed)
    {
        (this.task, this.examples, Shots) = (task, examples, shots);
        (templates, random) = (new(task), new(seed));
        mayMeetItself = task.FewshotData.Count == 0 && task.FewshotSplit == task.TestSplit; // the harness's rule
        if (shots > 0 && examples.Count == 0)
            throw new UserException($"task {task.Task} has no examples to show before a question; ask without: --shots 0");
        if (shots > 0 && examples.Count < shots + (mayMeetItself ? 1 : 0))
            throw new UserException($"{examples[0].Source}: {shots} examples before each question are asked for, and there are " +
                $"{examples.Count} records; ask for fewer, or give more");
    }

    public int Shots { get; }

    /// <summary>The questions of records, in their order, which the examples depend on.</summary>
    public IReadOnlyList<TaskQuestion> Of(IEnumerable<DataRecord> records) => [.. records.Select(Of)];

    private TaskQuestion Of(DataRecord record)
    {
        string before = templates.Description(record)
            + string.Concat(Chosen(record).Select(example => Example(example) + task.FewshotDelimiter));
        if (task.OutputType != TaskKind.MultipleChoice)
        {
            IReadOnlyList<string> targets = templates.Targets(record);
            string prompt = before + templates.Text(record);
            return new(record, prompt) { Targets = targets, Requests = [(prompt, targets[0])] };
        }
        IReadOnlyList<string> choices = templates.Choices(record);
        TaskQuestion question = new(record, before)
        {
            Choices = choices, RightChoices = templates.RightChoices(record, choices), Labels = templates.Labels(record, choices),
        };
        if (task.Metrics.Any(metric => metric.Metric == "f1") && choices.Count != 2)
            throw record.Wrong($"f1 is for two choices, of which the second is looked for, and there are {choices.Count}; measure acc " +
                "or mcc");
        if (templates.AsksChoices(record))
        {
            string answer = task.TargetDelimiter + templates.Target(record);
            return question with { Requests = [.. choices.Select(choice => (before + choice, answer))] };
        }
        string asked = before + templates.Text(record);
        return question with { Prompt = asked, Requests = [.. choices.Select(choice => (asked, task.TargetDelimiter + choice))] };
    }

    private string Example(DataRecord record)
    {
        if (task.OutputType != TaskKind.MultipleChoice)
            return templates.Text(record) + task.TargetDelimiter + templates.Target(record);
        IReadOnlyList<string> choices = templates.Choices(record);
        string right = choices[templates.RightChoices(record, choices)[0]];
        return templates.AsksChoices(record)
            ? right + task.TargetDelimiter + templates.Target(record)
            : templates.Text(record) + task.TargetDelimiter + right;
    }

    // Where questions and examples are of one split, one more is drawn than needed; the question itself is left out in any case.
    private IEnumerable<DataRecord> Chosen(DataRecord record)
    {
        if (Shots == 0) return [];
        int drawn = mayMeetItself ? Shots + 1 : Shots;
        IEnumerable<DataRecord> candidates = task.FewshotConfig.Sampler == TaskSampling.First
            ? examples.Take(drawn)
            : random.Sample(examples.Count, drawn).Select(index => examples[index]);
        return candidates.Where(example => !JsonElement.DeepEquals(example.Fields, record.Fields)).Take(Shots).ToArray();
    }
}
