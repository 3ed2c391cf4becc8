using System.Collections;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Trainer.Configuration.Binding;

/// <summary>Writes bound records as the JSON from which the binder makes equal ones.</summary>
/// <remarks>A null is written only where it differs from the default, maybe an initialiser of the enclosing record.</remarks>
internal static class ConfigurationWriter
{
    public static JsonNode? Write(object? value, Type declared, object? fallback) => value switch
    {
        null => null,
        _ when RecordShape.IsScalar(value.GetType()) => JsonSerializer.SerializeToNode(value, value.GetType(), RecordShape.Options),
        _ when RecordShape.ItemType(declared) is { } item => WriteList((IEnumerable)value, item),
        _ when RecordShape.ValueType(declared) is { } element => WriteDictionary(value, element),
        _ => WriteRecord(value, declared, fallback),
    };

    private static JsonArray WriteList(IEnumerable items, Type type) =>
        new([.. items.Cast<object?>().Select(item => Write(item, type, null))]);

    /// <summary>Keys are sorted: equal configurations are written alike.</summary>
    private static JsonObject WriteDictionary(object value, Type type) =>
        new(DictionaryEntries.Of(value).OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => KeyValuePair.Create(pair.Key, Write(pair.Value, type, null))));

    private static JsonObject WriteRecord(object record, Type declared, object? fallback)
    {
        var type = record.GetType();
        var defaults = fallback?.GetType() == type ? fallback : RecordShape.Create(type);
        var node = new JsonObject();
        if (Variants.Of(declared) is { } variants)
            node[variants.Discriminator] = variants.NameOf(type);
        foreach (var property in RecordShape.Of(type).Properties)
            WriteProperty(node, property, property.Get!(record), property.Get(defaults));
        return node;
    }

    private static void WriteProperty(JsonObject node, JsonPropertyInfo property, object? value, object? fallback)
    {
        if (value is not null || fallback is not null)
            node[property.Name] = Write(value, property.PropertyType, fallback);
    }
}
