using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Data.Records;

namespace Trainer.Evaluation.Tasks;

/// <summary>A task's templates, read as lm-evaluation-harness reads them (lm_eval/api/task.py: doc_to_text, doc_to_choice, doc_to_target):
/// a template that is a field's name is that field, a number in a text is a number where there are choices.</summary>
internal sealed class TaskTemplates
{
    private readonly TaskDefinition task;
    private readonly RecordTemplate description, text;
    private readonly RecordTemplate? target, choice, labels;

    /// <exception cref="Configuration.UserException">A template is not valid; the message names the task and the field.</exception>
    public TaskTemplates(TaskDefinition task)
    {
        this.task = task;
        description = Parsed("description", task.Description);
        text = Parsed("doc_to_text", task.DocToText);
        target = task.DocToTarget.ValueKind == JsonValueKind.String ? Parsed("doc_to_target", task.DocToTarget.GetString()!) : null;
        choice = task.DocToChoice is { ValueKind: JsonValueKind.String } template ? Parsed("doc_to_choice", template.GetString()!) : null;
        labels = task.DocToLabels is { } listed ? Parsed("doc_to_labels", listed) : null;
    }

    public string Description(DataRecord record) => description.Render(record);

    /// <summary>The question, or the number of the right choice where the choices are questions.</summary>
    public string Text(DataRecord record) => Written(record, text);

    /// <summary>Whether the choices are questions.</summary>
    public bool AsksChoices(DataRecord record) => task.OutputType == TaskKind.MultipleChoice && Whole(Text(record)) is not null;

    /// <summary>The choices, two or more.</summary>
    public IReadOnlyList<string> Choices(DataRecord record)
    {
        JsonNode? listed = choice is null ? JsonNode.Parse(task.DocToChoice!.Value.GetRawText()) : Value(record, choice);
        if (listed is not JsonArray list || !list.All(IsScalar)) throw record.Wrong("doc_to_choice makes no list of texts");
        string[] choices = [.. list.Select(item => $"{item}")];
        return choices.Length < 2 ? throw record.Wrong($"there are {choices.Length} choices; two or more are needed")
            : choices.Any(string.IsNullOrEmpty) ? throw record.Wrong("a choice is empty")
            : choices;
    }

    /// <summary>The answer as a text.</summary>
    public string Target(DataRecord record) => Targets(record)[0];

    /// <summary>The answers, of which any is right.</summary>
    public IReadOnlyList<string> Targets(DataRecord record) => TargetValue(record) switch
    {
        JsonArray { Count: > 0 } list when list.All(IsScalar) => [.. list.Select(item => $"{item}")],
        JsonArray or JsonObject or null => throw record.Wrong("doc_to_target is no text"),
        var value => [$"{value}"],
    };

    /// <summary>The numbers of the right choices, from 0.</summary>
    public IReadOnlyList<int> RightChoices(DataRecord record, IReadOnlyList<string> choices)
    {
        if (AsksChoices(record)) return [Place(record, Whole(Text(record))!.Value, choices)];
        return TargetValue(record) switch
        {
            JsonArray { Count: > 0 } list => [.. list.Select(item => Place(record, item, choices))],
            var value => [Place(record, value, choices)],
        };
    }

    /// <summary>1 for each true choice; null if the task does not say it.</summary>
    public IReadOnlyList<int>? Labels(DataRecord record, IReadOnlyList<string> choices)
    {
        if (labels is null) return null;
        int?[] values = Value(record, labels) is JsonArray list ? [.. list.Select(Whole)] : [];
        return values.Length == choices.Count && values.All(value => value is 0 or 1) && values.Contains(1)
            ? [.. values.Select(value => value!.Value)]
            : throw record.Wrong($"doc_to_labels makes no list of {choices.Count} labels, 1 for true choices and 0 for others");
    }

    private RecordTemplate Parsed(string name, string template)
    {
        try
        {
            return new(template);
        }
        catch (Configuration.UserException error)
        {
            throw new Configuration.UserException($"task {task.Task}, {name}: {error.Message}", error);
        }
    }

    private static string Written(DataRecord record, RecordTemplate template) =>
        !record.Fields.TryGetProperty(template.Source, out JsonElement field) ? template.Render(record)
            : field.ValueKind is JsonValueKind.String or JsonValueKind.Number ? field.ToString()
            : throw record.Wrong($"{template.Source} is {field.ValueKind.ToString().ToLowerInvariant()}, and no text or number");

    private static JsonNode? Value(DataRecord record, RecordTemplate template) =>
        record.Fields.TryGetProperty(template.Source, out JsonElement field)
            ? JsonNode.Parse(field.GetRawText())
            : template.Evaluate(record);

    // A field's text is a text even if it has digits only; a template's is a number then.
    private JsonNode? TargetValue(DataRecord record)
    {
        if (target is null) return JsonNode.Parse(task.DocToTarget.GetRawText());
        JsonNode? value = Value(record, target);
        bool isField = record.Fields.TryGetProperty(target.Source, out _);
        return !isField && task.OutputType == TaskKind.MultipleChoice && value?.GetValueKind() == JsonValueKind.String
            && Whole($"{value}") is { } number ? JsonValue.Create(number) : value;
    }

    private static int Place(DataRecord record, JsonNode? answer, IReadOnlyList<string> choices)
    {
        int place = answer?.GetValueKind() switch
        {
            JsonValueKind.Number => Whole(answer) is { } number && number < choices.Count ? number : -1,
            JsonValueKind.True or JsonValueKind.False => answer.GetValue<bool>() ? 1 : 0,
            JsonValueKind.String => choices.ToList().IndexOf($"{answer}"),
            _ => -1,
        };
        return place >= 0 ? place : throw record.Wrong(
            $"the answer {answer?.ToJsonString() ?? "null"} is no choice; give its number, 0 to {choices.Count - 1}, or its text");
    }

    private static bool IsScalar(JsonNode? value) => value?.GetValueKind() is JsonValueKind.String or JsonValueKind.Number;

    private static int? Whole(JsonNode? value) => Whole($"{value}");

    private static int? Whole(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
