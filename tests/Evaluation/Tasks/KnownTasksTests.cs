using System.Text.Json;
using System.Text.RegularExpressions;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Tasks;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests.Tasks;

public sealed class KnownTasksTests : IDisposable
{
    private readonly TemporaryDirectory folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Every_known_task_is_found_by_its_name_and_MMLU_has_57_subjects()
    {
        Assert.All(KnownTasks.All, entry => Assert.Same(entry, KnownTasks.Find(entry.Name)));
        Assert.Equal(57, KnownTasks.Find("mmlu")!.Members.Sum(group => group.Members.Count));
        Assert.Equal(13, KnownTasks.Find("dotnet_translation")!.Members.Count);
        Assert.NotNull(KnownTasks.Find("mmlu_stem"));
        Assert.Contains("there is no task and no file \"hellaswig\"", Assert.Throws<UserException>(() => TaskEntry.Of(["hellaswig"])).Message);
    }

    /// <summary>As a clone of the data set has them, and what is missing.</summary>
    [Fact]
    public void A_split_of_a_part_is_found_in_a_folder()
    {
        TaskDefinition task = KnownTasks.Find("mmlu_anatomy")!.Definition!;
        Assert.Equal("task mmlu_anatomy needs its data: give --data with a file or folder of cais/mmlu, part anatomy, split test, as JSON " +
            "lines or Parquet; they are at huggingface.co/datasets/cais/mmlu", Refused());
        Write("mmlu/anatomy/test-00000-of-00001.jsonl", 1);
        Write("mmlu/anatomy/dev-00000-of-00001.jsonl", 2);
        Write("mmlu/virology/test-00000-of-00001.jsonl", 3);
        Write("mmlu/virology/testament.jsonl", 4);
        TaskOptions options = new() { Data = [folder.Path] };
        IReadOnlyList<DataRecord> questions = TaskData.Questions(task, options);
        Assert.Equal([1], Answers(questions));
        Assert.Equal([2], Answers(TaskData.Examples(task, options, questions)));
        Assert.Equal([3], Answers(TaskData.Questions(task, new() { Data = [folder.File("mmlu/vir*/test-*.jsonl")] })));
        Assert.Contains("has no file of cais/mmlu, part sociology, split test, which task mmlu_sociology asks (such as " +
            "sociology/test-00000-of-00001.parquet or test.jsonl); it has anatomy/dev-00000", Assert.Throws<UserException>(
            () => TaskData.Questions(KnownTasks.Find("mmlu_sociology")!.Definition!, options)).Message);
        Assert.Contains("examples come from the split dev, and --data names files", Assert.Throws<UserException>(() => TaskData.Examples(
            task, new() { Data = [folder.File("mmlu/anatomy/test-00000-of-00001.jsonl")] }, questions)).Message);
        Assert.StartsWith($"{folder.File("gone")}: there is no such file or folder", Refused(folder.File("gone")));
        folder.File("x");
        Directory.CreateDirectory(folder.File("empty"));
        Assert.StartsWith($"{folder.File("empty")} has no JSON lines and no Parquet", Refused(folder.File("empty")));

        string Refused(params string[] data) => Assert.Throws<UserException>(() => TaskData.Questions(task, new() { Data = data })).Message;
    }

    [Fact]
    public void A_group_of_files_reports_its_tasks_and_then_itself()
    {
        Write("q.jsonl", 0, 1, 1);
        File.WriteAllText(folder.File("a.json"), """
            { "task": "a", "output_type": "multiple_choice", "data": "q.jsonl", "doc_to_text": "{{question}}", "doc_to_choice": ["x", "yy"],
              "doc_to_target": "{{answer}}", "metric_list": [{ "metric": "acc" }, { "metric": "mcc" }] }
            """);
        File.WriteAllText(folder.File("group.json"), """
            { "group": "both", "task": ["a.json", "arithmetic_1da"], "aggregate_metric_list": [{ "metric": "acc" }] }
            """);
        using LanguageModel model = Model(64);

        TaskReport[] reports = [.. new TaskEvaluator(model, ByteTokenizer.Instance).Evaluate(
            TaskEntry.Of([folder.File("group.json")])[0], new() { Limit = 5 })];

        Assert.Equal(["a", "arithmetic_1da", "both"], reports.Select(report => report.Task));
        Assert.Equal(8, reports[2].Questions);
        Assert.Equal(["a", "arithmetic_1da"], reports[2].Tasks);
        Assert.Equal(
            (3 * reports[0].Figures[0].Value + 5 * reports[1].Figures[0].Value) / 8, Assert.Single(reports[2].Figures).Value, 1e-12);
    }

    [Theory]
    [InlineData("ruler_vt", "ruler_fwe", true)]
    [InlineData("arithmetic_1da", "synthetic_copy", false)]
    public void A_group_has_lengths_where_its_tasks_have(string one, string other, bool expected)
    {
        File.WriteAllText(folder.File("group.json"), $$"""{ "group": "long", "task": ["{{one}}", "{{other}}"] }""");
        Assert.Equal(expected, TaskEntry.Of([folder.File("group.json")])[0].HasLengths);
    }

    [Theory]
    [InlineData("synthetic_copy", "^[a-z]{16}\\|$")]
    [InlineData("synthetic_needle", ".")]
    [InlineData("arithmetic_2ds", "^Question: What is \\d{1,2} minus \\d{1,2}\\?\nAnswer:$")]
    public void Made_tasks_are_whole_and_the_same_in_every_run(string name, string pattern)
    {
        TaskEntry entry = KnownTasks.Find(name)!;
        MadeTask Made(long seed) => entry.Make!(new(ByteTokenizer.Instance, 256, null, new()
        {
            Limit = 20, Shots = 2, Seed = seed,
        }));
        MadeTask made = Made(1);
        Assert.Equal((20, 2), (made.Questions.Count, made.Examples.Count));
        IReadOnlyList<TaskQuestion> questions = new TaskPrompts(entry.Definition!, [], 0, 1).Of(made.Questions);
        Assert.All(questions, question => Assert.Matches(pattern, question.Prompt));
        Assert.Equal(Texts(made), Texts(Made(1)));
        Assert.NotEqual(Texts(made), Texts(Made(2)));
    }

    [Theory]
    [InlineData("dotnet_summary", "^Type\\d+(\\.Do\\(\\))?\n$")]
    [InlineData("dotnet_cloze", "^Type\\d+(\\.Do\\(\\))?\nDoes thing number \\d+( well)?$")]
    [InlineData("dotnet_language", "^text \\d+ of \\d+\nLanguage:$")]
    [InlineData("dotnet_translation_de", "^English: a \\d+\nGerman:$")]
    public void Tasks_of_what_the_SDK_brings_are_whole_and_the_same_in_every_run(string name, string pattern)
    {
        (string, string)[] documentation = [.. Enumerable.Range(0, 60).Select(
            i => ($"Type{i}{(i % 2 == 0 ? "" : ".Do()")}", $"Does thing number {i} well{(i % 2 == 0 ? "" : " indeed")}."))];
        MadeTask Made(long seed) => new TaskMaking(ByteTokenizer.Instance, 256, null, new() { Limit = 40, Shots = 2, Seed = seed }) is var making
            && name == "dotnet_summary" ? DotnetTasks.Summaries(making, documentation)
            : name == "dotnet_cloze" ? DotnetTasks.Clozes(making, documentation)
            : name == "dotnet_language" ? DotnetTasks.LanguageNames(making, [.. Enumerable.Range(0, 13).Select(
                language => Enumerable.Range(0, language + 4).Select(i => $"text {i} of {language}").ToArray())])
            : DotnetTasks.Translations(making, name, Enumerable.Range(0, 60).Select(i => ($"a {i}", $"ein {i}")));
        MadeTask made = Made(1);
        TaskDefinition task = KnownTasks.Find(name)!.Definition!;

        IReadOnlyList<TaskQuestion> questions = new TaskPrompts(task, [], 0, 1).Of(made.Questions);

        Assert.Equal((40, 2), (made.Questions.Count, made.Examples.Count));
        Assert.All(questions, question => Assert.Matches(pattern, question.Prompt));
        Assert.Equal(Texts(made), Texts(Made(1)));
        Assert.NotEqual(Texts(made), Texts(Made(2)));
        if (name == "dotnet_cloze")
        {
            Assert.All(questions, question => Assert.Contains(question.Targets[0], new[] { " well", " indeed" }));
            return;
        }
        Assert.True(questions.Select(question => question.RightChoices[0]).Distinct().Count() > 2);
        Assert.All(questions, question => Assert.Equal(question.Choices.Count, question.Choices.Distinct().Count()));
        Assert.All(questions, question => Assert.Equal(Right(question), question.Choices[question.RightChoices[0]]));
        if (name == "dotnet_summary") // of methods, methods' summaries
            Assert.All(questions, question => Assert.Single(question.Choices.Select(choice => choice.EndsWith("indeed.")).Distinct()));

        string Right(TaskQuestion question) => int.Parse(Regex.Match(question.Prompt, "\\d+(?=\\D*$)").Value) is var number ? name switch
        {
            "dotnet_summary" => documentation[number].Item2,
            "dotnet_translation_de" => $"ein {number}",
            _ => question.Choices[number],
        } : "";
    }

    private static string[] Texts(MadeTask task) => [.. task.Questions.Select(record => record.Fields.GetRawText())];

    private void Write(string name, params int[] answers)
    {
        string path = folder.File(name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllLines(path, answers.Select(answer => JsonSerializer.Serialize(new { question = "q", answer })));
    }

    private static IEnumerable<int> Answers(IReadOnlyList<DataRecord> records) =>
        records.Select(record => record.Fields.GetProperty("answer").GetInt32());

    private static LanguageModel Model(int length)
    {
        torch.manual_seed(5);
        return new DecoderOptions { Dim = 16, Layers = 1, ContextLength = length, Attention = new MultiHeadOptions { Heads = 2 } }.Build(256);
    }
}
