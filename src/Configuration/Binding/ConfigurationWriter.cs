using System.Collections;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Trainer.Configuration.Binding;

/// <summary>Writes bound records as the JSON from which the binder makes equal ones.</summary>
/// <remarks>A null is written only where the binder would give something else: the default, maybe an initialiser of the enclosing record,
/// or what is inherited from further out.</remarks>
internal static class ConfigurationWriter
{
    public static JsonNode? Write(object? value, Type declared, object? fallback) => Write(value, declared, fallback, []);

    private static JsonNode? Write(object? value, Type declared, object? fallback, IReadOnlyList<object> enclosing) => value switch
    {
        null => null,
        _ when RecordShape.IsScalar(value.GetType()) => JsonSerializer.SerializeToNode(value, value.GetType(), RecordShape.Options),
        _ when RecordShape.ItemType(declared) is { } item => WriteList((IEnumerable)value, item, enclosing),
        _ when RecordShape.ValueType(declared) is { } element => WriteDictionary(value, element, enclosing),
        _ => WriteRecord(value, declared, fallback, enclosing),
    };

    private static JsonArray WriteList(IEnumerable items, Type type, IReadOnlyList<object> enclosing) =>
        new([.. items.Cast<object?>().Select(item => Write(item, type, null, enclosing))]);

    /// <summary>Keys are sorted: equal configurations are written alike.</summary>
    private static JsonObject WriteDictionary(object value, Type type, IReadOnlyList<object> enclosing) =>
        new(DictionaryEntries.Of(value).OrderBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => KeyValuePair.Create(pair.Key, Write(pair.Value, type, null, enclosing))));

    private static JsonObject WriteRecord(object record, Type declared, object? fallback, IReadOnlyList<object> enclosing)
    {
        var type = record.GetType();
        var defaults = fallback?.GetType() == type ? fallback : RecordShape.Create(type);
        var node = new JsonObject();
        if (Variants.Of(declared) is { } variants)
            node[variants.Discriminator] = variants.NameOf(type);
        foreach (var property in RecordShape.Of(type).Properties)
        {
            var (value, standard) = (property.Get!(record), property.Get(defaults));
            if (value is null && standard is null)
                continue;
            if (RecordShape.Attributes<InheritsAttribute>(property).Count > 0)
                standard = Inherited(property, enclosing);
            node[property.Name] = Write(value, property.PropertyType, standard, [record, .. enclosing]);
        }
        return node;
    }

    /// <summary>What the binder lays such a property over: the value of that name in the nearest record around it that has one.</summary>
    private static object? Inherited(JsonPropertyInfo property, IReadOnlyList<object> enclosing) =>
        enclosing.Select(outer => RecordShape.Property(outer.GetType(), property.Name)?.Get?.Invoke(outer))
            .FirstOrDefault(property.PropertyType.IsInstanceOfType);
}
