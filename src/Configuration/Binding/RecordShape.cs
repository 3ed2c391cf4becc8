using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Trainer.Configuration.Binding;

/// <summary>The JSON shape of records: System.Text.Json's metadata, so that binder, serialiser and schema agree on names.</summary>
internal static class RecordShape
{
    public static JsonSerializerOptions Options { get; } = CreateOptions();

    public static JsonTypeInfo Of(Type type) => Options.GetTypeInfo(type);

    public static bool IsScalar(Type type) =>
        type.IsEnum || type == typeof(string) || type == typeof(bool) || type == typeof(int) || type == typeof(long)
        || type == typeof(double) || type == typeof(float);

    public static Type? ItemType(Type type) => // null for anything but a list
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? type.GetGenericArguments()[0] : null;

    public static Type? ValueType(Type type) => // null for anything but a dictionary with text keys
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>)
        && type.GetGenericArguments()[0] == typeof(string) ? type.GetGenericArguments()[1] : null;

    public static JsonPropertyInfo? Property(Type type, string name) =>
        Of(type).Properties.FirstOrDefault(property => property.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    public static object Create(Type type) =>
        (type.IsClass && Of(type).Kind == JsonTypeInfoKind.Object ? Of(type).CreateObject?.Invoke() : null)
        ?? throw new InvalidOperationException($"{type} is no configuration type: use scalars, enums, IReadOnlyList, " +
            "IReadOnlyDictionary with text keys, "
            + "and records with init properties and no constructor parameters.");

    public static object Copy(object record) =>
        record.GetType().GetMethod("<Clone>$")?.Invoke(record, null)
        ?? throw new InvalidOperationException($"{record.GetType()} is no configuration record.");

    public static IReadOnlyList<TAttribute> Attributes<TAttribute>(JsonPropertyInfo property)
        where TAttribute : Attribute =>
        [.. property.AttributeProvider?.GetCustomAttributes(typeof(TAttribute), true).Cast<TAttribute>() ?? []];

    /// <summary>The names of an enum's values in JSON, in declared order.</summary>
    public static IReadOnlyList<(string Name, object Value)> EnumValues(Type type) =>
        [.. Enum.GetValues(type).Cast<object>().Select(value => (JsonSerializer.Serialize(value, type, Options).Trim('"'), value))];

    private static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            RespectNullableAnnotations = true,
            WriteIndented = true,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { KeepSettable, PutBaseFirst } },
            Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        };
        options.MakeReadOnly();
        return options;
    }

    /// <summary>Properties without a setter are computed, and no options.</summary>
    private static void KeepSettable(JsonTypeInfo info)
    {
        if (info.Kind != JsonTypeInfoKind.Object)
            return;
        foreach (var computed in info.Properties.Where(property => property.Set is null).ToArray())
            info.Properties.Remove(computed);
    }

    /// <summary>Shared properties come before those of a variant.</summary>
    private static void PutBaseFirst(JsonTypeInfo info)
    {
        foreach (var property in info.Properties)
            property.Order = Depth(property.DeclaringType);
    }

    private static int Depth(Type type) => type.BaseType is { } parent ? Depth(parent) + 1 : 0;
}
