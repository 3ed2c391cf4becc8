using System.Globalization;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>The prompts of a task: description, examples, question.</summary>
internal sealed class TaskPrompts
{
    private readonly TaskDefinition task;
    private readonly IReadOnlyList<TaskRecord> examples;
    private readonly long seed;

    public TaskPrompts(TaskDefinition task, IReadOnlyList<TaskRecord> examples, int shots, long seed)
    {
        (this.task, this.examples, Shots, this.seed) = (task, examples, shots, seed);
        if (shots > 0 && examples.Count <= shots)
            throw new UserException($"{examples[0].File}: {shots} examples before each question are asked for, and there are " +
                $"{examples.Count} records; ask for fewer, or give more");
    }

    public int Shots { get; }

    /// <summary>What the model reads before it answers a record.</summary>
    public string Of(TaskRecord record) =>
        task.Description + string.Concat(Drawn(record).Select(example => Example(example) + task.FewshotDelimiter)) +
        record.Render(task.DocToText);

    /// <summary>The choices of a record, two or more.</summary>
    public static IReadOnlyList<string> Choices(TaskDefinition task, TaskRecord record)
    {
        IReadOnlyList<string> choices = task.DocToChoice is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray().Select(item => record.Render(item.ToString()))]
            : record.List(task.DocToChoice!.Value.GetString()!);
        if (choices.Count < 2) throw record.Wrong($"there are {choices.Count} choices; two or more are needed");
        return choices.Any(string.IsNullOrEmpty) ? throw record.Wrong("a choice is empty") : choices;
    }

    /// <summary>The number of the right choice, from 0.</summary>
    public static int Target(TaskDefinition task, TaskRecord record, IReadOnlyList<string> choices)
    {
        string target = record.Render(task.DocToTarget);
        int place = int.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < choices.Count
            ? number
            : choices.ToList().IndexOf(target);
        return place >= 0
            ? place
            : throw record.Wrong($"the answer \"{target}\" is no choice; give its number, 0 to {choices.Count - 1}, or its text");
    }

    private string Example(TaskRecord record)
    {
        string question = record.Render(task.DocToText) + task.TargetDelimiter;
        if (task.OutputType != TaskKind.MultipleChoice) return question + record.Render(task.DocToTarget);
        IReadOnlyList<string> choices = Choices(task, record);
        return question + choices[Target(task, record, choices)];
    }

    // Different ones for each question, the same in every run; a record is never its own example.
    private IEnumerable<TaskRecord> Drawn(TaskRecord record)
    {
        if (Shots == 0) return [];
        SplitMix64 random = new(unchecked(seed * 1_000_003 + record.Line));
        HashSet<int> drawn = [];
        while (drawn.Count < Shots)
        {
            int next = (int)(random.NextDouble() * examples.Count);
            if (!ReferenceEquals(examples[next], record)) drawn.Add(next);
        }
        return drawn.Select(index => examples[index]);
    }
}
