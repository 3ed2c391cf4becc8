using System.Text.Json;

namespace Trainer.Evaluation.Tasks;

/// <summary>The tasks that come along: prompts and figures of lm-evaluation-harness for benchmarks whose files a user has, and tasks whose
/// records are made here.</summary>
public static class KnownTasks
{
    /// <summary>All of them, groups with their members; add new ones here.</summary>
    public static IReadOnlyList<TaskEntry> All { get; } =
    [
        OfFile("hellaswag", "the likeliest end of an everyday scene (Zellers et al. 2019)"),
        OfFile("arc_easy", "grade-school science, easier questions (Clark et al. 2018)"),
        OfFile("arc_challenge", "grade-school science, harder questions (Clark et al. 2018)"),
        OfFile("piqa", "physical common sense (Bisk et al. 2020)"),
        OfFile("lambada_openai", "the last word of a passage (Paperno et al. 2016, as OpenAI cleaned it)"),
        OfFile("winogrande", "what a pronoun stands for (Sakaguchi et al. 2019)"),
        OfFile("boolq", "yes or no to a question on a passage (Clark et al. 2019)"),
        OfFile("truthfulqa_mc1", "the one true answer among common errors (Lin et al. 2022)"),
        OfFile("truthfulqa_mc2", "the share of probability on true answers (Lin et al. 2022)"),
        Mmlu(),
        .. DotnetTasks.All,
        .. SyntheticTasks.All,
        RulerTasks.All,
    ];

    private static readonly Dictionary<string, TaskEntry> ByName =
        All.SelectMany(WithMembers).DistinctBy(entry => entry.Name).ToDictionary(entry => entry.Name);

    /// <summary>A task by its name; null if there is none.</summary>
    public static TaskEntry? Find(string name) => ByName.GetValueOrDefault(name);

    private static IEnumerable<TaskEntry> WithMembers(TaskEntry entry) => [entry, .. entry.Members.SelectMany(WithMembers)];

    private static TaskEntry OfFile(string name, string about)
    {
        TaskDefinition task = TaskDefinition.Parse(Resource(name), name);
        return new() { Name = name, About = $"{about}; {task.DatasetPath}", Definition = task };
    }

    // Hendrycks et al. 2021: one task a subject, with examples of its own.
    private static TaskEntry Mmlu()
    {
        TaskDefinition template = TaskDefinition.Parse(Resource("mmlu"), "mmlu");
        Dictionary<string, string[]> subjects = JsonSerializer.Deserialize<Dictionary<string, string[]>>(Resource("mmlu_subjects"))!;
        TaskEntry[] groups = [.. subjects.Select(group => new TaskEntry
        {
            Name = $"mmlu_{group.Key}", About = $"{group.Value.Length} subjects of MMLU: {group.Key.Replace('_', ' ')}",
            Members = [.. group.Value.Select(subject => new TaskEntry
            {
                Name = $"mmlu_{subject}", About = $"MMLU, {subject.Replace('_', ' ')}",
                Definition = template with
                {
                    Task = $"mmlu_{subject}", DatasetName = subject,
                    Description = $"The following are multiple choice questions (with answers) about {subject.Replace('_', ' ')}.\n\n",
                },
            })],
        })];
        return new()
        {
            Name = "mmlu", Members = groups,
            About = $"{subjects.Values.Sum(names => names.Length)} subjects in {groups.Length} groups (Hendrycks et al. 2021); " +
                $"{template.DatasetPath}",
        };
    }

    private static string Resource(string name)
    {
        using Stream stream = typeof(KnownTasks).Assembly.GetManifestResourceStream($"Trainer.Evaluation.Tasks.{name}.json")!;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
