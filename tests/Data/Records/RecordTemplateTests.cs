using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Tests;

namespace Trainer.Data.Tests.Records;

/// <summary>Templates of records against Jinja: Fixtures/record_templates.json is written by make_record_templates.py.</summary>
public sealed class RecordTemplateTests
{
    private static readonly JsonObject Fixture = (JsonObject)JsonNode.Parse(
        File.ReadAllText(Repository.PathOf("tests", "Data", "Records", "Fixtures", "record_templates.json")))!;

    public static TheoryData<string, string?, string?> Cases { get; } = [.. Fixture["cases"]!.AsArray().Select(
        one => ((string)one!["template"]!, (string?)one["text"], one["list"]?.ToJsonString()))];

    private static DataRecord Example { get; } =
        new(JsonSerializer.SerializeToElement(Fixture["record"]), "data.jsonl", "line", 7);

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_the_harness_renders_is_rendered_and_what_it_refuses_is_refused(string template, string? text, string? list)
    {
        if (text is null)
        {
            string error = Assert.Throws<UserException>(() => new RecordTemplate(template).Render(Example)).Message;
            Assert.StartsWith("data.jsonl, line 7: template, line 1: ", error);
            return;
        }
        Assert.Equal(text, new RecordTemplate(template).Render(Example));
        JsonNode? value = new RecordTemplate(template).Evaluate(Example);
        if (list is not null) Assert.Equal(list, value!.ToJsonString());
        else Assert.Equal(text, value switch
        {
            null => "None",
            JsonArray or JsonObject when text[0] != '[' => text,
            _ when value.GetValueKind() is JsonValueKind.True or JsonValueKind.False => $"{value.GetValue<bool>()}",
            _ => $"{value}",
        });
    }

    [Fact]
    public void What_a_record_lacks_is_named_with_its_place_and_what_it_has()
    {
        DataRecord record = new(JsonElement.Parse("""{"q": "Q", "list": ["a"]}"""), "data.jsonl", "line", 2);
        Assert.Equal(
            "data.jsonl, line 2: template, line 1: 'gone' is undefined; the template is \"{{gone}}\", and the record has q, list",
            Assert.Throws<UserException>(() => new RecordTemplate("{{gone}}").Render(record)).Message);
        Assert.Equal(
            "data.jsonl, line 2: 'gone' is undefined; the template is \"{{ [q, gone] }}\", and the record has q, list",
            Assert.Throws<UserException>(() => new RecordTemplate("{{ [q, gone] }}").Evaluate(record)).Message);
        Assert.StartsWith("template, line 2: found '}}' where ", Assert.Throws<UserException>(() => new RecordTemplate("a\n{{ }}")).Message);
    }
}
