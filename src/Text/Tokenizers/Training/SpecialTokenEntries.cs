using System.Text.Json.Nodes;

namespace Trainer.Text;

/// <summary>Special tokens as <c>added_tokens</c> of <c>tokenizer.json</c>, with the ids 0, 1, 2 …</summary>
internal static class SpecialTokenEntries
{
    public static JsonArray Of(IEnumerable<string> tokens) => new([.. tokens.Select((token, id) => (JsonNode)new JsonObject
    {
        ["id"] = id,
        ["content"] = token,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    })]);
}
