using Trainer.Configuration;
using Trainer.Data.Records;
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
        Assert.Equal([folder.File("arc.jsonl")], task.Data);
        Assert.Equal([folder.File("train.jsonl")], task.FewshotData);
        DataRecord record = Record("""
            {"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["A", "B"]}, "answerKey": "B", "n": 1}
            """);
        TaskTemplates templates = new(task);
        Assert.Equal("Question: Which?\nAnswer:", templates.Text(record));
        Assert.Equal(["red", "blue"], templates.Choices(record));
        Assert.Equal([1], templates.RightChoices(record, ["red", "blue"]));
        Assert.Equal("Which?", new TaskTemplates(task with { DocToText = "question" }).Text(record));
    }

    /// <summary>lm_eval/api/task.py: a field's text is looked for among the choices, a template's number is a place.</summary>
    [Theory]
    [InlineData("\"answer\"", """{"answer": "1"}""", 0)]
    [InlineData("\"answer\"", """{"answer": 1}""", 1)]
    [InlineData("\"answer\"", """{"answer": true}""", 1)]
    [InlineData("\"{{answer}}\"", """{"answer": "1"}""", 1)]
    [InlineData("\"{{answer}}\"", """{"answer": "two"}""", 2)]
    [InlineData("\"{{answer - 1}}\"", """{"answer": 1}""", 0)]
    [InlineData("2", "{}", 2)]
    [InlineData("\"[{{n}}]\"", """{"n": 2}""", 2)]
    public void The_right_choice_is_a_number_or_a_text(string target, string record, int expected) => Assert.Equal([expected],
        new TaskTemplates(Load($$"""
            { "task": "x", "output_type": "multiple_choice", "doc_to_text": "q", "doc_to_target": {{target}}, "doc_to_choice": ["1", "one", "two"] }
            """)).RightChoices(Record(record), ["1", "one", "two"]));

    [Theory]
    [InlineData("\"output_type\": \"multiple_choice\"", "doc_to_choice is missing")]
    [InlineData("\"output_type\": \"loglikelihood\", \"doc_to_choice\": \"x\"", "doc_to_choice is for output_type multiple_choice")]
    [InlineData("\"output_type\": \"loglikelihood\", \"num_fewshot\": -1", "num_fewshot is -1; give 0 or more")]
    [InlineData("\"output_type\": \"loglikelihood\", \"shots\": 1", "'shots' could not be mapped")]
    [InlineData("\"output_type\": \"guess\"", "$.output_type")]
    [InlineData("\"output_type\": \"loglikelihood\", \"metric_list\": [{ \"metric\": \"f1\" }]", "metric_list has \"f1\"; known for this output_type are acc, perplexity")]
    [InlineData("\"output_type\": \"loglikelihood\", \"metric_list\": [{ \"metric\": \"acc\", \"aggregation\": \"f1\" }]", "the aggregation of acc is mean, not \"f1\"")]
    [InlineData("\"output_type\": \"loglikelihood\", \"metric_list\": [{ \"metric\": \"acc\", \"higher_is_better\": false }]", "higher_is_better of acc is true")]
    [InlineData("\"output_type\": \"loglikelihood\", \"metric_list\": [{ \"metric\": \"acc\", \"ignore_case\": true }]", "are for exact_match of written answers, not for acc")]
    [InlineData("\"output_type\": \"loglikelihood\", \"doc_to_labels\": \"x\"", "doc_to_labels is for output_type multiple_choice")]
    [InlineData("\"output_type\": \"generate_until\", \"generation_kwargs\": { \"until\": \"x\", \"do_sample\": true }", "asks for sampling")]
    [InlineData("\"output_type\": \"generate_until\", \"generation_kwargs\": { \"until\": [\"\"] }", "has an empty text, at which nothing stops")]
    public void A_wrong_task_is_named_with_its_file(string fields, string message)
    {
        string task = $"{{ \"task\": \"x\", \"data\": \"x.jsonl\", \"doc_to_text\": \"q\", \"doc_to_target\": \"a\", {fields} }}";
        string said = Assert.Throws<UserException>(() => Load(task)).Message;
        Assert.StartsWith(folder.File("task.json"), said);
        Assert.Contains(message, said);
    }

    [Fact]
    public void An_answer_that_is_no_choice_is_refused()
    {
        TaskDefinition task = Load("""
            { "task": "x", "output_type": "multiple_choice", "data": "x", "doc_to_text": "q", "doc_to_target": "a", "doc_to_choice": ["no", "yes"] }
            """);
        DataRecord record = Record("""{"q": "?", "a": "2"}""");
        Assert.Equal($"{folder.File("data.jsonl")}, line 1: the answer \"2\" is no choice; give its number, 0 to 1, or its text",
            Assert.Throws<UserException>(() => new TaskTemplates(task).RightChoices(record, ["no", "yes"])).Message);
    }

    [Theory]
    [InlineData("\"q\"", "doc_to_choice makes no list of texts")]
    [InlineData("\"{{[]}}\"", "there are 0 choices; two or more are needed")]
    [InlineData("[\"a\", \"\"]", "a choice is empty")]
    [InlineData("\"{{gone}}\"", "template, line 1: 'gone' is undefined; the template is \"{{gone}}\", and the record has q")]
    public void Choices_that_are_none_are_refused_with_the_record(string choices, string message) => Assert.Equal(
        $"{folder.File("data.jsonl")}, line 1: {message}",
        Assert.Throws<UserException>(() => new TaskTemplates(Load($$"""
            { "task": "x", "output_type": "multiple_choice", "doc_to_text": "q", "doc_to_target": 0, "doc_to_choice": {{choices}} }
            """)).Choices(Record("""{"q": "?"}"""))).Message);

    [Fact]
    public void A_template_that_is_none_is_named_with_its_task_and_field() => Assert.StartsWith("task x, doc_to_text: template, line 1: ",
        Assert.Throws<UserException>(() => new TaskTemplates(Load("""
            { "task": "x", "output_type": "loglikelihood", "doc_to_text": "{{ a", "doc_to_target": "b" }
            """))).Message);

    public void Dispose() => folder.Dispose();

    private TaskDefinition Load(string json)
    {
        string path = folder.File("task.json");
        File.WriteAllText(path, json);
        return TaskDefinition.Load(path);
    }

    private DataRecord Record(string json)
    {
        string path = folder.File("data.jsonl");
        File.WriteAllText(path, json.Trim().ReplaceLineEndings(" "));
        return DataRecord.ReadAll([path])[0];
    }
}
