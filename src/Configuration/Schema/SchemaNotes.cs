using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Trainer.Configuration.Binding;

namespace Trainer.Configuration.Schema;

/// <summary>Adds to an exported schema what the attributes and initialisers of a property say.</summary>
internal static class SchemaNotes
{
    /// <summary>Adds the defaults of the record that a node describes, or description and limits of the property it stands in.</summary>
    public static JsonNode Add(JsonSchemaExporterContext context, JsonObject node)
    {
        if (context.TypeInfo.Kind == JsonTypeInfoKind.Object && !context.TypeInfo.Type.IsAbstract && node["properties"] is JsonObject properties)
            AddDefaults(properties, context.TypeInfo);
        if (context.PropertyInfo is not { } property)
            return node;
        foreach (var rule in Shape.Attributes<ValidationAttribute>(property))
            AddRule(node["items"] as JsonObject is { } items && !Rules.IsAboutCount(rule) ? items : node, rule);
        if (Shape.Attributes<DescriptionAttribute>(property) is [var description])
            node.Insert(0, "description", description.Description);
        return node;
    }

    private static void AddRule(JsonObject node, ValidationAttribute rule)
    {
        if (rule is RangeAttribute range)
            AddRange(node, range);
        else if (rule is AllowedValuesAttribute among)
            node["enum"] = Choices(among, node["type"] is JsonArray);
        else if (Rules.CountLimits(rule) is { } limits)
            AddLimits(node, limits, node.ContainsKey("items") ? "Items" : "Length");
    }

    private static JsonArray Choices(AllowedValuesAttribute among, bool nullable) =>
        new([.. among.Values.Concat(nullable ? [null] : []).Distinct().Select(value => JsonSerializer.SerializeToNode(value, Shape.Options))]);

    private static void AddRange(JsonObject node, RangeAttribute range)
    {
        var (minimum, maximum) = Rules.Bounds(range);
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

    /// <summary>Simple defaults only: of a record, its own properties tell theirs.</summary>
    private static void AddDefaults(JsonObject properties, JsonTypeInfo record)
    {
        var defaults = Shape.Create(record.Type);
        foreach (var property in record.Properties.Where(property => !property.IsRequired))
        {
            var value = property.Get!(defaults);
            if (value is not null && Shape.IsScalar(value.GetType()))
                properties[property.Name]!.AsObject()["default"] = JsonSerializer.SerializeToNode(value, value.GetType(), Shape.Options);
        }
    }
}
