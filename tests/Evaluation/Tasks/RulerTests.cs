using System.Text.RegularExpressions;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Tasks;
using Trainer.Models;
using Trainer.Models.Attention;

namespace Trainer.Evaluation.Tests.Tasks;

public sealed class RulerTests
{
    public static TheoryData<string, int> Tasks { get; } =
        [.. KnownTasks.Find("ruler")!.Members.SelectMany(member => new[] { (member.Name, 1500), (member.Name, 5000) })];

    [Theory]
    [MemberData(nameof(Tasks))]
    public void Texts_fill_the_length_with_their_answer_and_hide_it(string name, int length)
    {
        MadeTask made = Make(name, length, seed: 1);

        Assert.Equal(4, made.Questions.Count);
        foreach (DataRecord record in made.Questions)
        {
            string input = record.Fields.GetProperty("input").GetString()!;
            int tokens = ByteTokenizer.Instance.Encode(input + record.Fields.GetProperty("answer_prefix").GetString()!).Length;
            Assert.InRange(tokens + made.AnswerTokens!.Value, length - 500, length);
            string[] outputs = Outputs(record);
            Assert.Equal(outputs.Length, outputs.Distinct().Count());
            Assert.All(outputs, output => Assert.Contains(output, input));
        }
        Assert.Equal(Texts(made), Texts(Make(name, length, seed: 1)));
        Assert.NotEqual(Texts(made), Texts(Make(name, length, seed: 2)));
    }

    [Theory]
    [InlineData("ruler_niah_single", 1, 1)]
    [InlineData("ruler_niah_multikey", 4, 1)]
    [InlineData("ruler_niah_multivalue", 4, 4)]
    [InlineData("ruler_niah_multiquery", 4, 4)]
    public void Needles_are_as_many_as_the_task_says(string name, int needles, int answers)
    {
        foreach (DataRecord record in Make(name, 2000, 3).Questions)
        {
            string input = record.Fields.GetProperty("input").GetString()!;
            Dictionary<string, string> keys = Regex.Matches(input, "special magic numbers for (\\S+) is: (\\d{7})\\.")
                .ToDictionary(match => match.Groups[2].Value, match => match.Groups[1].Value);
            Assert.Equal(needles, keys.Count);
            Assert.Equal(answers, Outputs(record).Length);
            string question = input[(input.LastIndexOf('\n') + 1)..];
            Assert.All(Outputs(record), number => Assert.Contains(keys[number], question));
        }
    }

    [Fact]
    public void Variables_are_those_that_assignments_lead_to()
    {
        foreach (DataRecord record in Make("ruler_vt", 2000, 3).Questions)
        {
            string input = record.Fields.GetProperty("input").GetString()!;
            string asked = input[input.LastIndexOf("Memorize and track", StringComparison.Ordinal)..];
            Dictionary<string, string> values = [];
            foreach (Match match in Regex.Matches(asked, "VAR ([A-Z]+) = (?:VAR )?([A-Z]+|\\d+)"))
                values[match.Groups[1].Value] = values.GetValueOrDefault(match.Groups[2].Value, match.Groups[2].Value);
            string value = Regex.Match(asked, "assigned the value (\\d+)").Groups[1].Value;
            Assert.Equal(values.Where(pair => pair.Value == value).Select(pair => pair.Key).Order(), Outputs(record).Order());
            Assert.Equal(5, Outputs(record).Length);
        }
    }

    [Theory]
    [InlineData("ruler_cwe", 10)]
    [InlineData("ruler_fwe", 3)]
    public void The_words_asked_for_are_the_most_frequent(string name, int count)
    {
        foreach (DataRecord record in Make(name, 3000, 3).Questions)
        {
            string input = record.Fields.GetProperty("input").GetString()!;
            string asked = name == "ruler_cwe"
                ? input[input.LastIndexOf("most often.\n", StringComparison.Ordinal)..input.LastIndexOf("\nQuestion", StringComparison.Ordinal)]
                : Regex.Match(input, "coded words\\. (.*)\nQuestion").Groups[1].Value;
            IEnumerable<string> words = Regex.Matches(asked, "(?<![a-z-])[a-z]+(-[a-z]+)?(?![a-z.-])").Select(match => match.Value)
                .Where(word => word is not ("most" or "often"));
            string[] frequent = [.. words.CountBy(word => word).OrderByDescending(pair => pair.Value).Take(count).Select(pair => pair.Key)];
            Assert.Equal(frequent.Order(), Outputs(record).Order());
        }
    }

    [Fact]
    public void Lengths_that_do_not_fit_are_refused_with_what_would()
    {
        Assert.Contains("task ruler_niah_single needs --length",
            Assert.Throws<UserException>(() => Evaluate(KnownTasks.Find("ruler_niah_single")!, [])).Message);
        Assert.Contains("--length is 4096, and the model reads 1024 tokens; ask for shorter ones",
            Assert.Throws<UserException>(() => Evaluate(KnownTasks.Find("ruler_niah_single")!, [4096])).Message);
        Assert.Matches("--length is 200, and task ruler_niah_single has \\d+ tokens of this tokenizer at least, and 128 of its answer",
            Assert.Throws<UserException>(() => Evaluate(KnownTasks.Find("ruler_niah_single")!, [200])).Message);
    }

    [Fact]
    public void Every_length_is_a_report()
    {
        TaskReport[] reports = Evaluate(KnownTasks.Find("ruler_niah_single")!, [600, 900]);
        Assert.Equal([600, 900], reports.Select(report => report.Length));
        Assert.All(reports, report => Assert.Equal(("string_match", 2), (report.Figures[0].Name, report.Questions)));
    }

    /// <summary>scripts/eval/synthetic/constants.py, string_match_all.</summary>
    [Theory]
    [InlineData("they are 12 and AB.", new[] { "12", "ab" }, 1)]
    [InlineData("12", new[] { "12", "34", "56", "78" }, 0.25)]
    [InlineData("", new[] { "12" }, 0)]
    public void The_share_of_answers_that_the_text_has_is_the_score(string answer, string[] targets, double expected) => Assert.Equal(
        expected, TaskScores.OfTexts([new() { Metric = "string_match" }], [(answer, targets)])[0].Value);

    private static TaskReport[] Evaluate(TaskEntry entry, int[] lengths)
    {
        torch.manual_seed(5);
        using LanguageModel model =
            new DecoderOptions { Dim = 16, Layers = 1, ContextLength = 1024, Attention = new MultiHeadOptions { Heads = 2 } }.Build(256);
        return [.. new TaskEvaluator(model, ByteTokenizer.Instance).Evaluate(entry, new() { Limit = 2, Lengths = lengths })];
    }

    private static MadeTask Make(string name, int length, long seed) =>
        KnownTasks.Find(name)!.Make!(new(ByteTokenizer.Instance, 1 << 20, length, new() { Limit = 4, Seed = seed }));

    private static string[] Outputs(DataRecord record) =>
        [.. record.Fields.GetProperty("outputs").EnumerateArray().Select(output => output.GetString()!)];

    private static string[] Texts(MadeTask task) => [.. task.Questions.Select(record => record.Fields.GetRawText())];
}
