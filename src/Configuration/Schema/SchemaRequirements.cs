using System.Text.Json.Nodes;

namespace Trainer.Configuration.Schema;

/// <summary>Decides what a schema may call missing.</summary>
internal static class SchemaRequirements
{
    /// <summary>Takes away what is required, except inside lists: there is no lower layer to inherit an item from.</summary>
    public static void Loosen(JsonNode? node, bool insideList)
    {
        if (node is JsonArray alternatives)
        {
            foreach (var alternative in alternatives)
                Loosen(alternative, insideList);
        }
        if (node is not JsonObject schema)
            return;
        if (!insideList && schema["required"] is JsonArray)
            schema.Remove("required");
        Loosen(schema["anyOf"], insideList);
        Loosen(schema["items"], true);
        Loosen(schema["additionalProperties"], insideList);
        foreach (var (_, property) in schema["properties"]?.AsObject() ?? [])
            Loosen(property, insideList);
    }
}
