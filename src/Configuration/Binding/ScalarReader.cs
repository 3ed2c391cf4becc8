using System.Globalization;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

/// <summary>Reads scalar values, in the invariant culture.</summary>
internal static class ScalarReader
{
    public static (object? Value, string? Fault, string Help) Read(LayerEntry entry, BindingTarget target)
    {
        if (!entry.IsScalar || entry.Kind == LayerEntryKind.Null)
            return Bad($"{entry.Shown} is given where {target.Expected} is expected");
        if (target.Type == typeof(string))
            return Text(entry);
        if (target.Type.IsEnum)
            return Choice(entry, target.Type);
        var value = target.Type == typeof(bool) ? Boolean(entry) : Number(entry.Text!, target.Type);
        return value is null ? Bad(Fault(entry, target)) : (value, null, "");
    }

    private static (object?, string?, string) Text(LayerEntry entry) => entry.Kind is LayerEntryKind.Text or LayerEntryKind.Loose
        ? (entry.Text, null, "")
        : (null, $"{entry.Shown} is not text", "; put it in quotes");

    private static (object?, string?, string) Choice(LayerEntry entry, Type type)
    {
        var values = RecordShape.EnumValues(type);
        var comparison = entry.Kind == LayerEntryKind.Loose ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        foreach (var (name, value) in values)
        {
            if (name.Equals(entry.Text, comparison))
                return (value, null, "");
        }
        return (null, $"{entry.Shown} is not allowed", Choices(entry.Text!, values.Select(value => value.Name)));
    }

    /// <summary><c>; did you mean a? Allowed: a, b</c>.</summary>
    public static string Choices(string written, IEnumerable<string> names)
    {
        var hint = NearestName.Hint(written, names);
        return $"{(hint.Length == 0 ? ";" : hint)} {(hint.Length == 0 ? "allowed" : "Allowed")}: {string.Join(", ", names)}";
    }

    private static object? Boolean(LayerEntry entry) =>
        bool.TryParse(entry.Text, out var value) && (entry.Kind == LayerEntryKind.Loose || entry.Text is "true" or "false") ? value : null;

    private static object? Number(string text, Type type)
    {
        if (type == typeof(double))
            return Real(text);
        if (type == typeof(float))
            return Real(text) is { } real && float.IsFinite((float)real) ? (float)real : null;
        if (Whole(text) is not { } whole)
            return null;
        if (type == typeof(long))
            return whole;
        return whole is >= int.MinValue and <= int.MaxValue ? (int)whole : null;
    }

    private static double? Real(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && double.IsFinite(value) ? value : null;

    /// <summary>A whole number, also 1e3 or 100.0. A decimal holds every long but rounds 1e-30 to 0; a double does the reverse.</summary>
    private static long? Whole(string text) =>
        Real(text) is { } real && Math.Floor(real) == real
        && decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var exact)
        && exact is >= long.MinValue and <= long.MaxValue && decimal.Truncate(exact) == exact
            ? (long)exact
            : null;

    private static string Fault(LayerEntry entry, BindingTarget target)
    {
        var tooLarge = Real(entry.Text!) is { } real && Math.Floor(real) == real && target.Type != typeof(bool);
        if (!tooLarge)
            return $"{entry.Shown} is not {target.Expected}";
        var bits = target.Type == typeof(int) ? "-2147483648 to 2147483647" : "-9223372036854775808 to 9223372036854775807";
        return target.Type == typeof(float) ? $"{entry.Shown} is too large" : $"{entry.Shown} is too large; whole numbers here go " +
            $"from {bits}";
    }

    private static (object?, string?, string) Bad(string fault) => (null, fault, "");
}
