using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>One configuration source: a file, the environment or the overrides, with what
/// Microsoft.Extensions.Configuration does not keep beside its text: JSON kind, spelling and origin.</summary>
internal sealed class Layer : ConfigurationProvider, IConfigurationSource
{
    private readonly Dictionary<string, Entry> entries = new(StringComparer.OrdinalIgnoreCase);

    public IReadOnlyDictionary<string, Entry> Entries => entries;

    public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

    public void Add(string key, Entry entry)
    {
        entries[key] = entry;
        Set(key, entry.Text);
    }

    /// <summary>Takes over a later source of the same rank, which wins where both say something.</summary>
    public void Absorb(Layer later)
    {
        foreach (var (key, entry) in later.entries)
        {
            GiveWay(key, entry.Kind);
            Add(key, entry);
        }
    }

    /// <summary>Forgets what cannot stand below a higher layer's entry, where merging key by key would mix two meanings:
    /// a list replaces a list as a whole, a scalar hides a container's content, and the other way round.</summary>
    public void GiveWay(string key, EntryKind kind)
    {
        DropScalarsAbove(key);
        var changesKind = kind == EntryKind.List
            || (kind == EntryKind.Object && entries.TryGetValue(key, out var mine) && mine.Kind != EntryKind.Object);
        if (changesKind)
            DropTree(key);
        else if (kind != EntryKind.Object)
            DropBelow(key);
    }

    public void DropTree(string key)
    {
        Drop(key);
        DropBelow(key);
    }

    public bool Touches(string key) =>
        entries.ContainsKey(key) || entries.Keys.Any(other => IsBelow(other, key));

    private void DropBelow(string key)
    {
        foreach (var below in entries.Keys.Where(other => IsBelow(other, key)).ToArray())
            Drop(below);
    }

    private void DropScalarsAbove(string key)
    {
        for (var parent = ConfigurationPath.GetParentPath(key); parent is not null; parent = ConfigurationPath.GetParentPath(parent))
        {
            if (entries.TryGetValue(parent, out var entry) && entry.IsScalar)
                Drop(parent);
        }
    }

    private void Drop(string key)
    {
        entries.Remove(key);
        Data.Remove(key);
    }

    private static bool IsBelow(string key, string ancestor) =>
        key.Length > ancestor.Length
        && key.StartsWith(ancestor, StringComparison.OrdinalIgnoreCase)
        && key[ancestor.Length] == ConfigurationPath.KeyDelimiter[0];
}
