using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>The names a record knows, and help for those it does not.</summary>
internal sealed class KnownNames
{
    private readonly Type record;
    private readonly string[] names;

    private KnownNames(Type record, string[] names) => (this.record, this.names) = (record, names);

    public static KnownNames Of(Type record, string? discriminator)
    {
        var properties = Shape.Of(record).Properties.Select(property => property.Name);
        return new(record, discriminator is null ? [.. properties] : [discriminator, .. properties]);
    }

    /// <summary>The right spelling of a name, ignoring case; nothing when it is unknown.</summary>
    public string? Find(string name) =>
        names.FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>What was probably meant by an unknown name, and what is known.</summary>
    public string Help(Setting place, string name)
    {
        var known = string.Join(", ", names);
        var isRoot = place.Path.Length == 0;
        var hint = NearestName.Hint(name, isRoot ? [.. names, Reserved.Extends] : names);
        if (hint.Length > 0)
            return $"{hint} Known here: {known}";
        var home = Shape.Of(record).Properties.FirstOrDefault(property => Knows(property.PropertyType, name));
        return home is null
            ? $"; known here: {known}"
            : $"; did you mean {place.Child(home.Name).Child(name).Path}? Known here: {known}";
    }

    /// <summary>Whether a nested record, or any of its variants, knows the name: it is only one level too high.</summary>
    private static bool Knows(Type type, string name)
    {
        if (!type.IsClass || Shape.IsScalar(type))
            return false;
        var records = Variants.Of(type)?.ByName.Select(variant => variant.Type) ?? [type];
        return records.Any(candidate => Shape.Of(candidate).Properties.Any(property => property.Name == name));
    }
}
