using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Data.Tokenizers;

namespace Trainer.Evaluation.Tasks;

/// <summary>A task by name: one with files that a user has, one whose records are made here, or a group of tasks.</summary>
public sealed record TaskEntry
{
    /// <summary>What it is called.</summary>
    public required string Name { get; init; }

    /// <summary>What it asks, and what data it needs.</summary>
    public required string About { get; init; }

    /// <summary>The tasks of a group; empty for a task.</summary>
    public IReadOnlyList<TaskEntry> Members { get; init; } = [];

    /// <summary>Whether its prompts, or those of a task of the group, have a given number of tokens (RULER).</summary>
    public bool HasLengths
    {
        get => field || Members.Any(member => member.HasLengths);
        init;
    }

    /// <summary>Whether it reads files that a user has.</summary>
    public bool NeedsData => Members.Count > 0 ? Members.Any(member => member.NeedsData) : Make is null;

    /// <summary>What the task asks; null for a group.</summary>
    internal TaskDefinition? Definition { get; init; }

    /// <summary>Makes the records; null where they are files.</summary>
    internal Func<TaskMaking, MadeTask>? Make { get; init; }

    /// <summary>A group's figures; null for all that its tasks share.</summary>
    internal IReadOnlyList<TaskMetric>? Metrics { get; init; }

    /// <summary>The tasks of names and files, in their order.</summary>
    /// <exception cref="UserException">One is neither known nor a file, or is a file that is no task.</exception>
    public static IReadOnlyList<TaskEntry> Of(IEnumerable<string> names) => [.. names.Select(Of)];

    private static TaskEntry Of(string name) => KnownTasks.Find(name) is { } known && !File.Exists(name) ? known
        : File.Exists(name) || name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? OfFile(name)
        : throw new UserException($"there is no task and no file \"{name}\"; --task list shows the tasks that are known, and a task's " +
            "file ends in .json");

    private static TaskEntry OfFile(string path)
    {
        if (TryGroup(path) is { } group) return group;
        TaskDefinition task = TaskDefinition.Load(path);
        return new() { Name = task.Task, About = path, Definition = task };
    }

    // A group as the harness writes it: its name and its tasks.
    private static TaskEntry? TryGroup(string path)
    {
        JsonObject? json;
        try
        {
            json = JsonNode.Parse(File.ReadAllText(path), documentOptions: new()
            {
                CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true,
            }) as JsonObject;
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            return null; // said by TaskDefinition.Load
        }
        if (json?.ContainsKey("group") != true) return null;
        try
        {
            TaskGroup group = json.Deserialize<TaskGroup>(TaskDefinition.Format)!;
            string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            if (group.Task.Count == 0) throw new UserException($"{path}: task is empty; name the tasks of the group");
            return new()
            {
                Name = group.Group, About = path,
                Members = Of(group.Task.Select(task => KnownTasks.Find(task) is null ? Path.Combine(folder, task) : task)),
                Metrics = group.AggregateMetricList?.Select(metric => new TaskMetric { Metric = metric.Metric }).ToArray(),
            };
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: {error.Message}", error);
        }
    }

    private sealed record TaskGroup
    {
        public required string Group { get; init; }

        public required IReadOnlyList<string> Task { get; init; }

        public IReadOnlyList<AggregateMetric>? AggregateMetricList { get; init; }
    }

    private sealed record AggregateMetric
    {
        public required string Metric { get; init; }
    }
}

/// <summary>What made records depend on.</summary>
/// <param name="Tokenizer">Counts the tokens of prompts.</param>
/// <param name="ContextLength">Tokens that the model reads.</param>
/// <param name="Length">Tokens of a prompt and its answer, for tasks of a length.</param>
/// <param name="Options">How many, and what they are drawn by.</param>
internal sealed record TaskMaking(Tokenizer Tokenizer, int ContextLength, int? Length, TaskOptions Options);

/// <summary>Made records, and examples of them.</summary>
internal sealed record MadeTask(IReadOnlyList<DataRecord> Questions, IReadOnlyList<DataRecord> Examples)
{
    /// <summary>The most tokens of an answer, where that depends on the records.</summary>
    public int? AnswerTokens { get; init; }

    /// <summary>Records of anonymous objects.</summary>
    public static IReadOnlyList<DataRecord> Records(string name, IEnumerable<object> records) =>
        [.. records.Select((record, index) => new DataRecord(JsonSerializer.SerializeToElement(record), name, "example", index + 1))];
}
