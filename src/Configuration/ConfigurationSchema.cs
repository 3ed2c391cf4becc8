using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;
using Trainer.Configuration.Schema;

namespace Trainer.Configuration;

/// <summary>JSON schemas of configuration records, with which editors complete and check recipes.</summary>
public static class ConfigurationSchema
{
    /// <summary>Makes the schema of a recipe file.</summary>
    /// <remarks>A recipe may leave anything to the file it <c>extends</c>, so nothing is required in it, except directly in the items of lists,
    /// which are always given whole. What the schema cannot express (rules across fields) the loader checks.</remarks>
    /// <typeparam name="T">The record that recipes are bound into.</typeparam>
    /// <returns>The schema, JSON Schema 2020-12.</returns>
    public static JsonNode Create<T>()
    {
        var schema = Shape.Options.GetJsonSchemaAsNode(typeof(T), new JsonSchemaExporterOptions
        {
            TreatNullObliviousAsNonNullable = true,
            TransformSchemaNode = (context, node) => node is JsonObject described ? SchemaNotes.Add(context, described) : node,
        }).AsObject();
        new SchemaRequirements(schema).Loosen();
        return AsFile(schema);
    }

    private static JsonObject AsFile(JsonObject schema)
    {
        foreach (var variant in schema["anyOf"]?.AsArray() ?? [schema])
            AddReserved(variant!.AsObject());
        schema["type"] = "object";
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        return schema;
    }

    private static void AddReserved(JsonObject schema)
    {
        var properties = schema["properties"]?.AsObject();
        if (properties is null)
            schema["properties"] = properties = [];
        properties.Insert(0, Reserved.Schema, Text("The JSON schema of this file, for editors."));
        properties.Insert(1, Reserved.Extends, Text("The file this one builds on, relative to this one."));
    }

    private static JsonObject Text(string description) => new() { ["type"] = "string", ["description"] = description };
}
