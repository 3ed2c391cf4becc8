using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>One place in the merged configuration.</summary>
/// <param name="Stack">The layers it is read from.</param>
/// <param name="Key">Its key, parts joined by colons; empty for the root.</param>
/// <param name="Path">Its path as messages show it, parts joined by dots.</param>
internal sealed record Setting(LayerStack Stack, string Key, string Path)
{
    /// <summary>The entry that counts; nothing when absent, or when it is a container that only deeper keys imply.</summary>
    public Entry? Entry => Stack.Top(Key);

    public bool Exists => Entry is not null || Names.Any();

    public IEnumerable<string> Names => Stack.ChildNames(Key);

    /// <summary>The names below with the spelling of the lowest layer that gives each (a file's, if one does).</summary>
    public IEnumerable<Setting> Children => Names.Select(name => Child(Spelling(name)));

    public string Name => Key[(Key.LastIndexOf(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal) + 1)..];

    /// <summary>Where the value comes from; for an implied container, where its first content does.</summary>
    public string Origin => Entry?.Origin ?? Children.Select(child => child.Origin).FirstOrDefault("by default");

    public Setting Child(string name) => new(Stack, Join(Key, ConfigurationPath.KeyDelimiter, name), Join(Path, ".", name));

    /// <summary>The setting at a relative dotted path; itself for the empty path.</summary>
    public Setting Find(string relative) => relative.Length == 0
        ? this
        : relative.Split('.').Aggregate(this, (setting, name) => setting.Child(name));

    private string Spelling(string name) =>
        Stack.At(Join(Key, ConfigurationPath.KeyDelimiter, name)).Select(found => found.Entry.Name).FirstOrDefault(name);

    private static string Join(string parent, string delimiter, string name) =>
        parent.Length == 0 ? name : parent + delimiter + name;
}
