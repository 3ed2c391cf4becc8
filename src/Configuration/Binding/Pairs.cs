using System.Collections;

namespace Trainer.Configuration.Binding;

/// <summary>The entries of a dictionary whose value type is only known at run time.</summary>
internal static class Pairs
{
    public static IEnumerable<KeyValuePair<string, object?>> Of(object dictionary) =>
        ((IEnumerable)dictionary).Cast<object>().Select(pair => KeyValuePair.Create((string)Part(pair, "Key")!, Part(pair, "Value")));

    private static object? Part(object pair, string name) => pair.GetType().GetProperty(name)!.GetValue(pair);
}
