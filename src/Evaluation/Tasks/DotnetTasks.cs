using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Corpora;
using Trainer.Data.Records;
using Trainer.Inference;

namespace Trainer.Evaluation.Tasks;

/// <summary>Tasks made of what the .NET SDK brings: its documentation, of which the last twentieth is asked, and its messages in 13
/// languages, of which the validation split is. Drawn by the seed, <see cref="Questions"/> of each unless a limit says otherwise.</summary>
internal static class DotnetTasks
{
    public const int Questions = 500;

    private const int Choices = 4, HeldOut = 20, MaxCharacters = 1 << 20, LongestText = 200;

    private static readonly (string Code, string Name)[] Languages =
    [
        ("cs", "Czech"), ("de", "German"), ("es", "Spanish"), ("fr", "French"), ("it", "Italian"), ("ja", "Japanese"), ("ko", "Korean"),
        ("pl", "Polish"), ("pt-BR", "Portuguese"), ("ru", "Russian"), ("tr", "Turkish"), ("zh-Hans", "Simplified Chinese"),
        ("zh-Hant", "Traditional Chinese"),
    ];

    public static IReadOnlyList<TaskEntry> All { get; } =
    [
        Entry("dotnet_summary", "which summary of the SDK's documentation is that of a type or member",
            making => Summaries(making, Documentation(making)), """
            { "doc_to_text": "{{subject}}\n", "doc_to_choice": "summaries", "doc_to_target": "{{place}}", "target_delimiter": "" }
            """),
        Entry("dotnet_cloze", "the last word of a summary of the SDK's documentation",
            making => Clozes(making, Documentation(making)), """
            { "output_type": "loglikelihood", "doc_to_text": "{{subject}}\n{{text}}", "doc_to_target": "{{' ' + word}}" }
            """),
        Entry("dotnet_language", "which of 13 languages a message of the SDK is in",
            making => LanguageNames(making, [.. Languages.Select(
                language => Pairs(making, language.Code).Select(pair => pair.Target).Distinct().ToArray())]), """
            { "doc_to_text": "{{text}}\nLanguage:", "doc_to_choice": "names", "doc_to_target": "{{place}}", "num_fewshot": 3,
              "metric_list": [{ "metric": "acc" }, { "metric": "mcc" }] }
            """),
        new()
        {
            Name = "dotnet_translation", About = "which of 4 texts says what a message of the SDK says in English, in 13 languages",
            Members = [.. Languages.Select(language => (language,
                Name: $"dotnet_translation_{language.Code.ToLowerInvariant().Replace('-', '_')}")).Select(named => Entry(
                named.Name, $"the SDK's messages in {named.language.Name}",
                making => Translations(making, named.Name, Pairs(making, named.language.Code)), $$$"""
                { "doc_to_text": "English: {{source}}\n{{{named.language.Name}}}:", "doc_to_choice": "targets",
                  "doc_to_target": "{{place}}" }
                """))],
        },
    ];

    private static TaskEntry Entry(string name, string about, Func<TaskMaking, MadeTask> make, string json)
    {
        Dictionary<string, JsonElement> fields = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(json)!;
        fields["task"] = JsonSerializer.SerializeToElement(name);
        fields.TryAdd("output_type", JsonSerializer.SerializeToElement("multiple_choice"));
        return new() { Name = name, About = about, Make = make, Definition = TaskDefinition.Parse(JsonSerializer.Serialize(fields), name) };
    }

    /// <summary>Distractors are summaries of the same kind of entry, so that form does not tell.</summary>
    internal static MadeTask Summaries(TaskMaking making, IEnumerable<(string Subject, string Summary)> documentation) =>
        Drawn("dotnet_summary", making, [.. documentation], (all, one, random) =>
        {
            IEnumerable<string> others = all.Where(other => other.Subject.Contains('(') == one.Subject.Contains('('))
                .Select(other => other.Summary).Where(summary => summary != one.Summary);
            (string[] summaries, int place) = Placed(one.Summary, [.. others.Distinct()], random);
            return new { subject = one.Subject, summaries, place };
        });

    internal static MadeTask Clozes(TaskMaking making, IEnumerable<(string Subject, string Summary)> documentation) =>
        Drawn("dotnet_cloze", making,
            [.. documentation.Select(entry => (entry.Subject, Words: entry.Summary.TrimEnd('.').Split(' ')))
                .Where(entry => entry.Words.Length > 3 && entry.Words[^1].All(char.IsAsciiLetter))],
            (_, entry, _) => new { subject = entry.Subject, text = string.Join(' ', entry.Words[..^1]), word = entry.Words[^1] });

    /// <summary>Texts by language, as many of each.</summary>
    internal static MadeTask LanguageNames(TaskMaking making, IReadOnlyList<string[]> texts)
    {
        SplitMix64 random = new(making.Options.Seed);
        int each = texts.Min(own => own.Length);
        return Drawn("dotnet_language", making,
            [.. texts.Index().SelectMany(language =>
                Shuffled(language.Item, random).Take(each).Select(text => (Text: text, language.Index)))],
            (_, one, _) => new { text = one.Text, names = Languages.Select(language => language.Name).ToArray(), place = one.Index });
    }

    internal static MadeTask Translations(TaskMaking making, string name, IEnumerable<(string Source, string Target)> pairs) =>
        Drawn(name, making, [.. pairs], (all, one, random) =>
        {
            IEnumerable<string> others = all.Where(other => other.Target != one.Target).Select(other => other.Target);
            (string[] targets, int place) = Placed(one.Target, [.. others.Distinct()], random);
            return new { source = one.Source, targets, place };
        });

    private static MadeTask Drawn<T>(string name, TaskMaking making, T[] items, Func<T[], T, SplitMix64, object> record)
    {
        SplitMix64 random = new(making.Options.Seed);
        int wanted = Math.Min(items.Length, (making.Options.Limit ?? Questions) + (making.Options.Shots ?? 3));
        T[] chosen = [.. Shuffled(items, random).Take(wanted)];
        IReadOnlyList<DataRecord> records = MadeTask.Records(name, chosen.Select(item => record(items, item, random)));
        int questions = Math.Min(records.Count, making.Options.Limit ?? Questions);
        return new([.. records.Take(questions)], [.. records.Skip(questions)]);
    }

    private static (string[] Choices, int Place) Placed(string right, string[] others, SplitMix64 random)
    {
        HashSet<int> drawn = [];
        while (drawn.Count < Math.Min(Choices - 1, others.Length)) drawn.Add((int)(random.NextDouble() * others.Length));
        int place = (int)(random.NextDouble() * Choices);
        List<string> choices = [.. drawn.Select(index => others[index])];
        choices.Insert(Math.Min(place, choices.Count), right);
        return ([.. choices], choices.IndexOf(right));
    }

    private static T[] Shuffled<T>(IEnumerable<T> items, SplitMix64 random)
    {
        T[] all = [.. items];
        for (int i = all.Length - 1; i > 0; i--)
        {
            int j = (int)(random.NextDouble() * (i + 1));
            (all[i], all[j]) = (all[j], all[i]);
        }
        return all;
    }

    private static IEnumerable<(string Subject, string Summary)> Documentation(TaskMaking making)
    {
        Corpus corpus = Open(making, new() { Format = SourceFormat.DotnetDocs });
        string[][] entries = [.. WholeDocuments.Of(corpus.Read(), MaxCharacters)
            .Select(entry => entry!.Split('\n', StringSplitOptions.RemoveEmptyEntries))];
        // A second line with a label, such as "Returns: ", is no summary.
        return entries.Skip(entries.Length - entries.Length / HeldOut)
            .Where(lines => lines.Length > 1 && lines[1].Length <= LongestText && !lines[1].Split(' ')[0].EndsWith(':')
                && !lines[1].StartsWith("Throws ", StringComparison.Ordinal))
            .Select(lines => (lines[0], lines[1]));
    }

    private static IEnumerable<(string Source, string Target)> Pairs(TaskMaking making, string language)
    {
        Corpus corpus = Open(making, new()
        {
            Format = SourceFormat.DotnetTranslations, Language = language, Split = SourceSplit.Validation, TargetColumn = "target",
        }, inPairs: true);
        return WholeDocuments.Of(corpus.Read(), MaxCharacters).OfType<string>().Chunk(2).Select(pair => (pair[0], pair[1]))
            .Where(pair => pair.Item1.Length <= LongestText && !pair.Item1.Contains('\n') && !pair.Item2.Contains('\n'));
    }

    private static Corpus Open(TaskMaking making, SourceOptions source, bool inPairs = false) =>
        Corpus.Open(source, "", making.Options.DatasetsDirectory, making.Options.Progress, inPairs);
}
