using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Evaluation.Tasks;

/// <summary>A record of a task's data, and where it stands.</summary>
internal sealed partial record TaskRecord(JsonElement Fields, string File, int Line)
{
    /// <summary>The records of a file of JSON lines; empty lines are left out.</summary>
    /// <exception cref="UserException">It cannot be read, has no record, or a line is no JSON object.</exception>
    public static IReadOnlyList<TaskRecord> ReadAll(string path)
    {
        try
        {
            TaskRecord[] records = [.. System.IO.File.ReadLines(path).Index().Where(line => !string.IsNullOrWhiteSpace(line.Item))
                .Select(line => Parse(path, line.Index + 1, line.Item))];
            return records.Length > 0 ? records : throw new UserException($"{path}: it has no records");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the task's data cannot be read: {error.Message}", error);
        }
    }

    /// <summary>A text with <c>{{field}}</c> filled in; a text that is the name of a field is that field.</summary>
    public string Render(string template) =>
        Fields.TryGetProperty(template, out JsonElement field) ? Text(field, template)
            : template.Contains("{%", StringComparison.Ordinal)
            ? throw Wrong($"\"{template}\" has a statement of Jinja; fields only, such as {{{{question}}}}, are filled in here")
            : Filling().Replace(template, match => Text(Value(match.Groups[1].Value), match.Groups[1].Value));

    /// <summary>The texts of a field that is a list.</summary>
    public IReadOnlyList<string> List(string name)
    {
        Match filling = Filling().Match(name);
        string path = filling.Success && filling.Length == name.Length ? filling.Groups[1].Value : name;
        JsonElement list = Value(path);
        return list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().Select(item => Text(item, path))]
            : throw Wrong($"{path} is no list of choices");
    }

    /// <summary>An error that names file and line.</summary>
    public UserException Wrong(string message) => new($"{File}, line {Line}: {message}");

    private static TaskRecord Parse(string path, int number, string line)
    {
        try
        {
            JsonElement fields = JsonElement.Parse(line);
            return fields.ValueKind == JsonValueKind.Object
                ? new(fields, path, number)
                : throw new UserException($"{path}, line {number}: it is no object, {{\"field\": \"text\"}}");
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}, line {number}: it is no JSON: {error.Message}", error);
        }
    }

    // choices.text, choices.text[0], choices[answer], choices.label.index(answer)
    private JsonElement Value(string path)
    {
        Match match = Place().Match(path);
        if (!match.Success)
            throw Wrong($"\"{path}\" is no field; write a name, such as question, choices.text[0] or choices.label.index(answer)");
        JsonElement value = Fields;
        foreach (Capture step in match.Groups["step"].Captures)
            value = step.Value[0] switch
            {
                '[' => At(value, step.Value[1..^1], path),
                '.' when step.Value.StartsWith(".index(", StringComparison.Ordinal) => IndexOf(value, step.Value[7..^1], path),
                _ => Member(value, step.Value.TrimStart('.'), path),
            };
        return value;
    }

    private JsonElement Member(JsonElement value, string name, string path) =>
        value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out JsonElement member)
            ? member
            : throw Wrong($"it has no field \"{name}\"" + (path == name ? "" : $" of {path}") + (value.ValueKind == JsonValueKind.Object
                ? $"; there are {string.Join(", ", value.EnumerateObject().Select(property => property.Name))}"
                : ""));

    private JsonElement At(JsonElement value, string index, string path)
    {
        string number = int.TryParse(index, out _) ? index : Text(Value(index), index);
        return value.ValueKind == JsonValueKind.Array && int.TryParse(number, out int at) && at >= 0 && at < value.GetArrayLength()
            ? value[at]
            : throw Wrong($"{path}: there is no place {number}");
    }

    private JsonElement IndexOf(JsonElement value, string item, string path)
    {
        string wanted = Text(Value(item), item);
        if (value.ValueKind != JsonValueKind.Array) throw Wrong($"{path} asks for a place in what is no list");
        int at = value.EnumerateArray().ToList().FindIndex(each => Text(each, path) == wanted);
        return at >= 0 ? JsonSerializer.SerializeToElement(at) : throw Wrong($"{path}: \"{wanted}\" is not in the list");
    }

    private string Text(JsonElement value, string path) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number => value.GetRawText(),
        _ => throw Wrong($"{path} is {value.ValueKind.ToString().ToLowerInvariant()}, and no text or number"),
    };

    [GeneratedRegex(@"\{\{\s*(.*?)\s*\}\}")]
    private static partial Regex Filling();

    [GeneratedRegex(@"^(?<step>\w+)(?<step>\.index\(\w+\)|\.\w+|\[\w+\])*$")]
    private static partial Regex Place();
}
