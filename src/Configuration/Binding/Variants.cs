using System.Text.Json.Serialization.Metadata;

namespace Trainer.Configuration.Binding;

/// <summary>A closed hierarchy: the records that may stand in one place, and the property that says which.</summary>
/// <param name="Discriminator">The name of that property, such as <c>type</c>.</param>
/// <param name="ByName">The records by what the property says, in registration order.</param>
internal sealed record Variants(string Discriminator, IReadOnlyList<(string Name, Type Type)> ByName)
{
    public IEnumerable<string> Names => ByName.Select(variant => variant.Name);

    /// <summary>The hierarchy below a type; nothing when the type stands for itself alone.</summary>
    public static Variants? Of(Type type)
    {
        var options = Shape.Of(type).PolymorphismOptions;
        return options is null
            ? null
            : new Variants(options.TypeDiscriminatorPropertyName, [.. options.DerivedTypes.Select(NameAndType)]);
    }

    public Type? Find(string? name, bool exact) => ByName
        .FirstOrDefault(variant => variant.Name.Equals(name, exact ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase)).Type;

    public string NameOf(Type type) =>
        ByName.FirstOrDefault(variant => variant.Type == type).Name
        ?? throw new InvalidOperationException($"{type} lacks its registration line, [JsonDerivedType(typeof({type.Name}), …)].");

    private static (string, Type) NameAndType(JsonDerivedType derived) =>
        (derived.TypeDiscriminator as string ?? throw new InvalidOperationException($"{derived.DerivedType} needs a name in its registration line."),
            derived.DerivedType);
}
