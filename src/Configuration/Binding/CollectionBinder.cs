using System.Collections;
using System.Globalization;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration.Binding;

internal sealed class CollectionBinder(Binder binder)
{
    /// <summary>Binds a list. Items set one by one change a lower layer's list, or the default; the next index appends.</summary>
    public bool TryList(Setting setting, BindingTarget target, Type itemType, out object? value)
    {
        value = null;
        if (!binder.IsContainer(setting, LayerEntryKind.List, target, $"; list items go by index: {setting.Path}.0"))
            return false;
        object?[] defaults = setting.Entry is null && target.Default is IEnumerable items ? [.. items.Cast<object?>()] : [];
        if (!TryCount(setting, defaults.Length, out var count))
            return false;
        var list = Array.CreateInstance(itemType, count);
        var bound = true;
        for (var i = 0; i < count; i++)
        {
            var fallback = i < defaults.Length ? defaults[i] : null;
            bound &= TryItem(setting.Child($"{i}"), target.Item(itemType, fallback), i < defaults.Length, out var item);
            if (bound)
                list.SetValue(item, i);
        }
        value = list;
        return bound;
    }

    /// <summary>Binds a dictionary, merged over layers; keys set one by one, without a whole one in any file, change the default.</summary>
    public bool TryDictionary(Setting setting, BindingTarget target, Type valueType, out object? value)
    {
        value = null;
        if (!binder.IsContainer(setting, LayerEntryKind.Object, target))
            return false;
        var result = (IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(typeof(string), valueType))!;
        var inheritable = setting.Entry is null && target.Default is { } fallbacks ? DictionaryEntries.Of(fallbacks) : [];
        var defaults = new Dictionary<string, object?>(inheritable, StringComparer.OrdinalIgnoreCase);
        var given = setting.Children.ToDictionary(child => child.Name, StringComparer.OrdinalIgnoreCase);
        var bound = true;
        foreach (var name in defaults.Keys.Union(given.Keys, StringComparer.OrdinalIgnoreCase))
        {
            var inherited = defaults.TryGetValue(name, out var fallback);
            bound &= TryItem(setting.Child(name), target.Item(valueType, fallback), inherited, out var item);
            if (bound)
                result[name] = item;
        }
        value = result;
        return bound;
    }

    private bool TryItem(Setting setting, BindingTarget target, bool inherited, out object? value)
    {
        value = target.Default;
        return (inherited && !setting.Exists
            && (value is null || RecordShape.IsScalar(target.Type))) || binder.TryBind(setting, target, out value);
    }

    private bool TryCount(Setting setting, int inherited, out int count)
    {
        count = inherited;
        foreach (var child in setting.Children)
        {
            // "00" is no key of an item that is read.
            if (!int.TryParse(child.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                || child.Name != index.ToString(CultureInfo.InvariantCulture))
                return binder.Report(child, $"\"{child.Name}\" is not a list index", "; items go by index, the first is 0");
            if (index > count)
                return binder.Report(child, $"there is no item {index}", $"; the list has {Items(count)}, {count} appends one");
            count = Math.Max(count, index + 1);
        }
        return true;
    }

    private static string Items(int count) => count == 1 ? "1 item" : $"{count} items";
}

/// <summary>The entries of a dictionary whose value type is known only at run time.</summary>
internal static class DictionaryEntries
{
    public static IEnumerable<KeyValuePair<string, object?>> Of(object dictionary) =>
        ((IEnumerable)dictionary).Cast<object>().Select(pair => KeyValuePair.Create((string)Part(pair, "Key")!, Part(pair, "Value")));

    private static object? Part(object pair, string name) => pair.GetType().GetProperty(name)!.GetValue(pair);
}
