using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>Special tokens in <c>tokenizer.json</c>.</summary>
internal static class SpecialTokenEntries
{
    private const string Class = "[CLS]", Separator = "[SEP]";

    /// <summary>The section <c>added_tokens</c> of tokens with the ids 0, 1, 2 …</summary>
    public static JsonArray Of(IEnumerable<string> tokens) => Of(tokens.Select((token, id) => (token, id)));

    /// <summary>The section <c>added_tokens</c>.</summary>
    public static JsonArray Of(IEnumerable<(string Token, int Id)> tokens) => new([.. tokens.Select(entry => (JsonNode)new JsonObject
    {
        ["id"] = entry.Id,
        ["content"] = entry.Token,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    })]);

    /// <summary>The section <c>post_processor</c>: BERT's template, [CLS] A [SEP] B [SEP], where both tokens are there; else null.</summary>
    public static JsonObject? Template(IReadOnlyList<string> tokens) => !tokens.Contains(Class) || !tokens.Contains(Separator) ? null : new JsonObject
    {
        ["type"] = "TemplateProcessing",
        ["single"] = new JsonArray(Special(Class, 0), Sequence("A", 0), Special(Separator, 0)),
        ["pair"] = new JsonArray(Special(Class, 0), Sequence("A", 0), Special(Separator, 0), Sequence("B", 1), Special(Separator, 1)),
        ["special_tokens"] = new JsonObject([.. new[] { Class, Separator }.Select(token => KeyValuePair.Create(token, (JsonNode?)new JsonObject
        {
            ["id"] = token,
            ["ids"] = new JsonArray(tokens.ToList().IndexOf(token)),
            ["tokens"] = new JsonArray(token),
        }))]),
    };

    private static JsonObject Special(string token, int part) => new() { ["SpecialToken"] = new JsonObject { ["id"] = token, ["type_id"] = part } };

    private static JsonObject Sequence(string name, int part) => new() { ["Sequence"] = new JsonObject { ["id"] = name, ["type_id"] = part } };
}
