using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;

namespace Trainer.Data.Records;

/// <summary>A text in Jinja that is filled in from a record's fields, as lm-evaluation-harness (Gao et al. 2021) does: what is undefined is
/// an error, and re.sub is the filter <c>regex_replace</c>. Threads can share it.</summary>
public sealed class RecordTemplate
{
    private readonly JinjaTemplate template;

    /// <summary>Parses a template.</summary>
    /// <exception cref="UserException">It is not valid, or needs what is not supported; the message names the line.</exception>
    public RecordTemplate(string template)
    {
        Source = template;
        this.template = new(template, JinjaSettings.Record);
    }

    /// <summary>The template.</summary>
    public string Source { get; }

    /// <summary>The text for a record.</summary>
    /// <exception cref="UserException">The record lacks a field, or the template fails; the message names the record's place.</exception>
    public string Render(DataRecord record) => Guarded(record, variables => template.Render(variables));

    /// <summary>What the template makes of a record: the value of <c>{{ an expression }}</c> that stands alone, else the text; of a text in
    /// brackets the list that it writes in Python.</summary>
    /// <exception cref="UserException">As for <see cref="Render"/>.</exception>
    public JsonNode? Evaluate(DataRecord record)
    {
        object? value = Guarded<object?>(record, template.IsExpression ? template.Value : variables => template.Render(variables));
        if (value is string text && text is ['[', .., ']'] && !template.IsExpression) value = Literal(text) ?? text;
        return Guarded(record, _ => Node(value));
    }

    private T Guarded<T>(DataRecord record, Func<IReadOnlyDictionary<string, object?>, T> make)
    {
        try
        {
            return make(record.Variables);
        }
        // The last is of invalid Unicode.
        catch (Exception error) when (error is UserException or JinjaException or InvalidOperationException)
        {
            throw record.Wrong($"{error.Message.TrimEnd('.')}; the template is {JsonSerializer.Serialize(Source, Plain)}, and the record "
                + "has " + string.Join(", ", record.Fields.EnumerateObject().Select(field => field.Name)), error);
        }
    }

    // ast.literal_eval: Jinja's literals are Python's.
    private static object? Literal(string text)
    {
        try
        {
            return new JinjaTemplate($"{{{{ {text} }}}}", JinjaSettings.Record) is { IsLiteral: true } literal
                ? literal.Value(new Dictionary<string, object?>())
                : null;
        }
        catch (UserException)
        {
            return null;
        }
    }

    private static JsonNode? Node(object? value) => value switch
    {
        null => null,
        Undefined { IsStrict: true } gone => throw gone.Error,
        Undefined => JsonValue.Create(""),
        bool flag => JsonValue.Create(flag),
        long number => JsonValue.Create(number),
        double number => JsonValue.Create(number),
        string text => JsonValue.Create(text),
        JinjaList list => new JsonArray([.. list.Select(Node)]),
        JinjaDict dict => new JsonObject(dict.Select(entry => KeyValuePair.Create($"{entry.Key}", Node(entry.Value)))),
        _ => throw new JinjaException($"{Python.TypeName(value)} is no value"),
    };

    internal static object? Value(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String: return element.GetString();
            case JsonValueKind.Number: return element.TryGetInt64(out long whole) ? (object)whole : element.GetDouble();
            case JsonValueKind.True or JsonValueKind.False: return element.GetBoolean();
            case JsonValueKind.Array: return new JinjaList(ListKind.List, element.EnumerateArray().Select(Value));
            case JsonValueKind.Object:
                JinjaDict dict = [];
                foreach (JsonProperty property in element.EnumerateObject()) dict[property.Name] = Value(property.Value);
                return dict;
            default: return null;
        }
    }

    private static readonly JsonSerializerOptions Plain = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}
