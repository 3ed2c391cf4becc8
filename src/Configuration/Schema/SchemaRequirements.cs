using System.Text.Json.Nodes;

namespace Trainer.Configuration.Schema;

/// <summary>Decides what a schema may call missing: never what the loader would accept.</summary>
/// <param name="root">The whole schema.</param>
internal sealed class SchemaRequirements(JsonObject root)
{
    /// <summary>Takes away what is required, since a lower layer or a default may give it, except directly in the items
    /// of lists: there is nothing below that an item could inherit from.</summary>
    public void Loosen() => Loosen(root, isItem: false);

    private void Loosen(JsonNode? node, bool isItem)
    {
        if (node is not JsonObject schema)
            return;
        if (!isItem)
            Inline(schema);
        if (!isItem && schema["required"] is JsonArray)
            schema.Remove("required");
        foreach (var variant in schema["anyOf"] as JsonArray ?? [])
            Loosen(variant, isItem);
        foreach (var (_, property) in schema["properties"] as JsonObject ?? [])
            Loosen(property, isItem: false);
        Loosen(schema["additionalProperties"], isItem: false);
        Loosen(schema["items"], isItem: true);
    }

    /// <summary>Replaces a reference to the item of a list by a copy of it, from which requirements can be taken.</summary>
    private void Inline(JsonObject schema)
    {
        if ((string?)schema["$ref"] is not { } pointer || !pointer.EndsWith("/items", StringComparison.Ordinal))
            return;
        schema.Remove("$ref");
        foreach (var (name, value) in Resolve(pointer))
            schema.TryAdd(name, value?.DeepClone());
    }

    private JsonObject Resolve(string pointer) => pointer.Split('/').Skip(1).Aggregate(
        (JsonNode)root, (node, part) => node is JsonArray list ? list[int.Parse(part)]! : node[part]!).AsObject();
}
