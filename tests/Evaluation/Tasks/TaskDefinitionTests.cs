using System.Text.Json;
using Trainer.Configuration;
using Trainer.Evaluation.Tasks;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests.Tasks;

public sealed class TaskDefinitionTests : IDisposable
{
    private readonly TemporaryDirectory folder = new();

    [Fact]
    public void A_task_of_the_harness_is_read_with_its_data_beside_it()
    {
        TaskDefinition task = Load("""
            {
              "task": "arc", "output_type": "multiple_choice", "data": "arc.jsonl", "num_fewshot": 2, "fewshot_data": "train.jsonl",
              "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_choice": "{{choices.text}}",
              "doc_to_target": "{{choices.label.index(answerKey)}}" // as in arc_easy.yaml
            }
            """);

        Assert.Equal((TaskKind.MultipleChoice, 2), (task.OutputType, task.NumFewshot));
        Assert.Equal(folder.File("arc.jsonl"), task.Data);
        Assert.Equal(folder.File("train.jsonl"), task.FewshotData);
        TaskRecord record = Record("""
            {"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["A", "B"]}, "answerKey": "B", "n": 1}
            """);
        Assert.Equal("Question: Which?\nAnswer:", record.Render(task.DocToText));
        IReadOnlyList<string> choices = TaskPrompts.Choices(task, record);
        Assert.Equal(["red", "blue"], choices);
        Assert.Equal(1, TaskPrompts.Target(task, record, choices));
        Assert.Equal("B red blue Which?", record.Render("{{choices.label[n]}} {{ choices.text[0] }} {{choices.text[n]}} {{question}}"));
        Assert.Equal("Which?", record.Render("question"));
        Assert.Equal(["say red", "or not"], TaskPrompts.Choices(
            task with { DocToChoice = JsonSerializer.SerializeToElement<string[]>(["say {{choices.text[0]}}", "or not"]) }, record));
    }

    [Theory]
    [InlineData("\"output_type\": \"multiple_choice\"", "doc_to_choice is missing")]
    [InlineData("\"output_type\": \"loglikelihood\", \"doc_to_choice\": \"x\"", "doc_to_choice is for output_type multiple_choice")]
    [InlineData("\"output_type\": \"loglikelihood\", \"num_fewshot\": -1", "num_fewshot is -1; give 0 or more")]
    [InlineData("\"output_type\": \"loglikelihood\", \"shots\": 1", "'shots' could not be mapped")]
    [InlineData("\"output_type\": \"guess\"", "$.output_type")]
    [InlineData("\"output_type\": \"generate_until\", \"generation_kwargs\": { \"until\": [\"\"] }", "has an empty text, at which nothing stops")]
    public void A_wrong_task_is_named_with_its_file(string fields, string message)
    {
        string task = $"{{ \"task\": \"x\", \"data\": \"x.jsonl\", \"doc_to_text\": \"q\", \"doc_to_target\": \"a\", {fields} }}";
        string said = Assert.Throws<UserException>(() => Load(task)).Message;
        Assert.StartsWith(folder.File("task.json"), said);
        Assert.Contains(message, said);
    }

    [Theory]
    [InlineData("{{gone}}", "it has no field \"gone\"; there are q, list, deep")]
    [InlineData("{{deep.gone}}", "it has no field \"gone\" of deep.gone; there are x")]
    [InlineData("{{list}}", "list is array, and no text or number")]
    [InlineData("{{list[2]}}", "list[2]: there is no place 2")]
    [InlineData("{{list.index(q)}}", "list.index(q): \"Q\" is not in the list")]
    [InlineData("{{q | upper}}", "\"q | upper\" is no field")]
    [InlineData("{% if q %}", "has a statement of Jinja")]
    public void What_a_record_lacks_is_named_with_file_and_line(string template, string message)
    {
        UserException error = Assert.Throws<UserException>(
            () => Record("""{"q": "Q", "list": ["a", "b"], "deep": {"x": 1}}""", before: "\n").Render(template));
        Assert.StartsWith($"{folder.File("data.jsonl")}, line 2: ", error.Message);
        Assert.Contains(message, error.Message);
    }

    [Theory]
    [InlineData("", "it has no records")]
    [InlineData("[1]", "line 1: it is no object")]
    [InlineData("{", "line 1: it is no JSON")]
    public void Damaged_data_are_refused(string line, string message) =>
        Assert.Contains(message, Assert.Throws<UserException>(() => Record(line)).Message);

    [Fact]
    public void An_answer_that_is_no_choice_is_refused()
    {
        TaskDefinition task = Load("""
            { "task": "x", "output_type": "multiple_choice", "data": "x", "doc_to_text": "q", "doc_to_target": "a", "doc_to_choice": ["no", "yes"] }
            """);
        TaskRecord record = Record("""{"q": "?", "a": "2"}""");
        Assert.Contains("the answer \"2\" is no choice; give its number, 0 to 1, or its text", Assert.Throws<UserException>(
            () => TaskPrompts.Target(task, record, TaskPrompts.Choices(task, record))).Message);
    }

    public void Dispose() => folder.Dispose();

    private TaskDefinition Load(string json)
    {
        string path = folder.File("task.json");
        File.WriteAllText(path, json);
        return TaskDefinition.Load(path);
    }

    private TaskRecord Record(string json, string before = "")
    {
        string path = folder.File("data.jsonl");
        File.WriteAllText(path, before + json.Trim().ReplaceLineEndings(" "));
        return TaskRecord.ReadAll(path)[0];
    }
}
