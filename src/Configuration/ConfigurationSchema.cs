using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>JSON schemas of configuration records, with which editors complete and check recipes.</summary>
public static class ConfigurationSchema
{
    /// <summary>The JSON Schema 2020-12 of a recipe file.</summary>
    /// <remarks>Only items of lists require anything, as a base may have the rest. Rules across fields are left to the loader.</remarks>
    public static JsonNode Create<T>()
    {
        var schema = RecordShape.Options.GetJsonSchemaAsNode(typeof(T), new JsonSchemaExporterOptions
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
        properties.Insert(0, ReservedKeys.Schema, Text("The JSON schema of this file, for editors."));
        properties.Insert(1, ReservedKeys.Extends, Text("The file this one builds on, relative to this one."));
    }

    private static JsonObject Text(string description) => new() { ["type"] = "string", ["description"] = description };
}

/// <summary>Adds descriptions, limits and defaults from attributes and initialisers to an exported schema.</summary>
internal static class SchemaNotes
{
    public static JsonNode Add(JsonSchemaExporterContext context, JsonObject node)
    {
        if (context.TypeInfo.Kind == JsonTypeInfoKind.Object && !context.TypeInfo.Type.IsAbstract
            && node["properties"] is JsonObject properties)
            AddDefaults(properties, context.TypeInfo);
        if (context.PropertyInfo is not { } property)
            return node;
        foreach (var rule in RecordShape.Attributes<ValidationAttribute>(property))
            AddRule(node["items"] as JsonObject is { } items && !ValidationRules.IsAboutCount(rule) ? items : node, rule);
        if (RecordShape.Attributes<DescriptionAttribute>(property) is [var description])
            node.Insert(0, "description", description.Description);
        return node;
    }

    private static void AddRule(JsonObject node, ValidationAttribute rule)
    {
        if (rule is RangeAttribute range)
            AddRange(node, range);
        else if (rule is AllowedValuesAttribute among)
            node["enum"] = Choices(among, node["type"] is JsonArray);
        else if (ValidationRules.CountLimits(rule) is { } limits)
            AddLimits(node, limits, node.ContainsKey("items") ? "Items" : "Length");
    }

    private static JsonArray Choices(AllowedValuesAttribute among, bool nullable) =>
        new([.. among.Values.Concat(nullable ? [null] : []).Distinct()
            .Select(value => JsonSerializer.SerializeToNode(value, RecordShape.Options))]);

    private static void AddRange(JsonObject node, RangeAttribute range)
    {
        var (minimum, maximum) = ValidationRules.Bounds(range);
        if (minimum is { } low)
            node[range.MinimumIsExclusive ? "exclusiveMinimum" : "minimum"] = low;
        if (maximum is { } high)
            node[range.MaximumIsExclusive ? "exclusiveMaximum" : "maximum"] = high;
    }

    private static void AddLimits(JsonObject node, (int Minimum, int? Maximum) limits, string unit)
    {
        if (limits.Minimum > 0)
            node[$"min{unit}"] = limits.Minimum;
        if (limits.Maximum is { } most)
            node[$"max{unit}"] = most;
    }

    /// <summary>Scalar defaults only: nested records describe their own.</summary>
    private static void AddDefaults(JsonObject properties, JsonTypeInfo record)
    {
        var defaults = RecordShape.Create(record.Type);
        foreach (var property in record.Properties.Where(property => !property.IsRequired))
        {
            var value = property.Get!(defaults);
            if (value is not null && RecordShape.IsScalar(value.GetType()))
                properties[property.Name]!.AsObject()["default"] = JsonSerializer.SerializeToNode(value, value.GetType(),
                    RecordShape.Options);
        }
    }
}

internal sealed class SchemaRequirements(JsonObject root)
{
    /// <summary>Removes what is required, which a lower layer or a default may give, except directly in the items of lists.</summary>
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
