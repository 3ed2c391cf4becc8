using System.Text.Json;
using Trainer.Data.Records;
using Trainer.Evaluation.Tasks;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests.Tasks;

/// <summary>Against lm-evaluation-harness: Fixtures/harness.json is written by make_harness.py.</summary>
public sealed class HarnessTests
{
    private static readonly JsonElement Fixture = JsonElement.Parse(
        File.ReadAllText(Repository.PathOf("tests", "Evaluation", "Tasks", "Fixtures", "harness.json")));

    public static TheoryData<string, int, int> Prompts { get; } = [.. Fixture.GetProperty("prompts").EnumerateArray().Select(
        (one, index) => (one.GetProperty("task").GetString()!, one.GetProperty("shots").GetInt32(), index))];

    [Theory]
    [MemberData(nameof(Prompts))]
    public void The_known_tasks_ask_what_the_harness_asks(string name, int shots, int index)
    {
        JsonElement expected = Fixture.GetProperty("prompts")[index];
        TaskPrompts prompts = new(KnownTasks.Find(name)!.Definition!, Records(expected.GetProperty("pool")), shots, 1234);

        IReadOnlyList<TaskQuestion> questions = prompts.Of(Records(expected.GetProperty("docs")));

        foreach ((TaskQuestion question, JsonElement wanted) in questions.Zip(expected.GetProperty("questions").EnumerateArray()))
        {
            string[] contexts = Texts(wanted.GetProperty("contexts")), ends = Texts(wanted.GetProperty("ends"));
            Assert.Equal(ends.Select((end, place) => (contexts[contexts.Length == 1 ? 0 : place], end)), question.Requests);
            if (wanted.TryGetProperty("gold", out JsonElement gold)) Assert.Equal([gold.GetInt32()], question.RightChoices);
            if (name == "truthfulqa_mc2")
                Assert.Equal(Numbers(question.Record.Fields.GetProperty("mc2_targets").GetProperty("labels")), question.Labels);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Choices_score_as_in_the_harness(int set)
    {
        JsonElement asked = Fixture.GetProperty("arithmetic").GetProperty("choices")[set], expected = asked.GetProperty("expected");
        ScoredChoices[] docs = Docs(asked);
        foreach (JsonProperty figure in expected.EnumerateObject())
        {
            // The harness calls the figure of MC2 acc.
            bool isMc2 = figure.Name == "mc2";
            TaskFigure found = Assert.Single(TaskScores.OfChoices([new() { Metric = isMc2 ? "acc" : figure.Name }],
                isMc2 ? docs : [.. docs.Select(doc => doc with { Labels = null })]));
            Assert.Equal(figure.Value[0].GetDouble(), found.Value, 1e-12);
            bool isResampled = figure.Name is "f1" or "mcc";
            double error = figure.Value[1].GetDouble();
            Assert.Equal(error, found.StandardError, isResampled ? 0.12 * error : 1e-12);
        }
    }

    [Fact]
    public void Continuations_score_as_in_the_harness()
    {
        JsonElement asked = Fixture.GetProperty("arithmetic").GetProperty("continuations");
        double[] scores = [.. asked.GetProperty("lls").EnumerateArray().Select(score => score.GetDouble())];
        bool[] greedy = [.. asked.GetProperty("greedy").EnumerateArray().Select(flag => flag.GetBoolean())];

        IReadOnlyList<TaskFigure> figures = TaskScores.OfContinuations(
            [new() { Metric = "perplexity" }, new() { Metric = "acc" }], [.. scores.Zip(greedy)]);

        // The harness resamples a perplexity's error; here it is of the first order.
        JsonElement perplexity = asked.GetProperty("perplexity"), accuracy = asked.GetProperty("acc");
        Assert.Equal(perplexity[0].GetDouble(), figures[0].Value, 1e-9);
        Assert.Equal(perplexity[1].GetDouble(), figures[0].StandardError, 0.05 * perplexity[1].GetDouble());
        Assert.Equal(accuracy[0].GetDouble(), figures[1].Value, 1e-12);
        Assert.Equal(accuracy[1].GetDouble(), figures[1].StandardError, 1e-12);
    }

    [Fact]
    public void A_group_weighs_its_tasks_by_their_questions_and_pools_their_errors()
    {
        JsonElement arithmetic = Fixture.GetProperty("arithmetic");
        TaskReport[] reports = [.. arithmetic.GetProperty("choices").EnumerateArray().Select(set => new TaskReport(
            "x", 0, set.GetProperty("docs").GetArrayLength(),
            TaskScores.OfChoices([new() { Metric = "acc" }], [.. Docs(set).Select(doc => doc with { Labels = null })])))];

        TaskFigure figure = Assert.Single(TaskScores.OfGroup(reports, ["acc", "acc_norm"]));

        JsonElement expected = arithmetic.GetProperty("group").GetProperty("acc");
        Assert.Equal(expected[0].GetDouble(), figure.Value, 1e-12);
        Assert.Equal(expected[1].GetDouble(), figure.StandardError, 1e-12);
    }

    private static ScoredChoices[] Docs(JsonElement set) => [.. set.GetProperty("docs").EnumerateArray().Select(doc => new ScoredChoices(
        Texts(doc.GetProperty("choices")), [.. doc.GetProperty("lls").EnumerateArray().Select(score => score.GetDouble())],
        [.. doc.GetProperty("greedy").EnumerateArray().Select(flag => flag.GetBoolean())], [doc.GetProperty("gold").GetInt32()],
        Numbers(doc.GetProperty("labels"))))];

    private static DataRecord[] Records(JsonElement docs) =>
        [.. docs.EnumerateArray().Select((doc, index) => new DataRecord(doc, "docs", "line", index + 1))];

    private static string[] Texts(JsonElement list) => [.. list.EnumerateArray().Select(text => text.GetString()!)];

    private static int[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetInt32())];
}
