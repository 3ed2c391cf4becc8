using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

internal sealed class KnownNames
{
    private readonly Type record;
    private readonly string[] names;

    private KnownNames(Type record, string[] names) => (this.record, this.names) = (record, names);

    public static KnownNames Of(Type record, string? discriminator)
    {
        var properties = RecordShape.Of(record).Properties.Select(property => property.Name);
        return new(record, discriminator is null ? [.. properties] : [discriminator, .. properties]);
    }

    /// <summary>The spelling of a known name, ignoring case; null when it is unknown.</summary>
    public string? Find(string name) =>
        names.FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase));

    public string Help(Setting place, string name)
    {
        var known = string.Join(", ", names);
        var isRoot = place.Path.Length == 0;
        var hint = NearestName.Hint(name, isRoot ? [.. names, ReservedKeys.Extends] : names);
        if (hint.Length > 0)
            return $"{hint} Known here: {known}";
        var home = RecordShape.Of(record).Properties.FirstOrDefault(property => Knows(property.PropertyType, name));
        return home is null
            ? $"; known here: {known}"
            : $"; did you mean {place.Child(home.Name).Child(name).Path}? Known here: {known}";
    }

    /// <summary>Whether a nested record, or one of its variants, has the name: it is one level too high.</summary>
    private static bool Knows(Type type, string name)
    {
        if (!type.IsClass || RecordShape.IsScalar(type))
            return false;
        var records = Variants.Of(type)?.ByName.Select(variant => variant.Type) ?? [type];
        return records.Any(candidate => RecordShape.Of(candidate).Properties.Any(property => property.Name == name));
    }
}

internal static class NearestName
{
    /// <summary>The nearest known name, with at most a third of it, and at least one letter, wrong; null if there is none.</summary>
    public static string? Of(string written, IEnumerable<string> known)
    {
        var allowed = Math.Max(1, written.Length / 3);
        return known
            .Select(name => (Name: name, Distance: Distance(written.ToLowerInvariant(), name.ToLowerInvariant())))
            .Where(candidate => candidate.Distance <= allowed)
            .OrderBy(candidate => candidate.Distance)
            .Select(candidate => candidate.Name)
            .FirstOrDefault();
    }

    /// <summary><c>; did you mean …?</c>, or nothing when no name is near.</summary>
    public static string Hint(string written, IEnumerable<string> known) =>
        Of(written, known) is { } near ? $"; did you mean {near}?" : "";

    /// <summary>Edits between two words: letters added, dropped, changed, or two neighbours swapped (optimal string alignment).</summary>
    public static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            d[i, 0] = i;
        for (var j = 0; j <= b.Length; j++)
            d[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
                d[i, j] = Cheapest(d, a, b, i, j);
        }
        return d[a.Length, b.Length];
    }

    private static int Cheapest(int[,] d, string a, string b, int i, int j)
    {
        var change = d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
        var best = Math.Min(change, Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
        var swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
        return swapped ? Math.Min(best, d[i - 2, j - 2] + 1) : best;
    }
}
