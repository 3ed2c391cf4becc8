using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>One source, with the JSON kinds, spelling and origins that Microsoft.Extensions.Configuration does not keep.</summary>
internal sealed class Layer : ConfigurationProvider, IConfigurationSource
{
    private readonly Dictionary<string, LayerEntry> entries = new(StringComparer.OrdinalIgnoreCase);

    public IReadOnlyDictionary<string, LayerEntry> Entries => entries;

    public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

    public void Add(string key, LayerEntry entry)
    {
        entries[key] = entry;
        Set(key, entry.Text);
    }

    /// <summary>Adds a later source of the same rank, which wins where both have a value.</summary>
    public void Absorb(Layer later)
    {
        foreach (var (key, entry) in later.entries)
        {
            GiveWay(key, entry.Kind);
            Add(key, entry);
        }
    }

    /// <summary>Drops what a higher layer's entry replaces and does not merge with: a list, or a container hidden by a scalar.</summary>
    public void GiveWay(string key, LayerEntryKind kind)
    {
        DropScalarsAbove(key);
        var changesKind = kind == LayerEntryKind.List
            || (kind == LayerEntryKind.Object && entries.TryGetValue(key, out var mine) && mine.Kind != LayerEntryKind.Object);
        if (changesKind)
            DropTree(key);
        else if (kind != LayerEntryKind.Object)
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

/// <summary><see cref="Loose"/> is text from the environment or an override, which has no JSON kind.</summary>
internal enum LayerEntryKind
{
    Null,
    Text,
    Number,
    Boolean,
    Loose,
    Object,
    List,
}

/// <summary>A value or container as one layer has it; the text is null for containers and null, which the kind tells apart.</summary>
/// <remarks><c>ExactName</c> tells whether the name must match in case, as in JSON; the origin is such as <c>in configs/x.json:7</c>,
/// <c>from --set a=b</c>.</remarks>
internal sealed record LayerEntry(LayerEntryKind Kind, string? Text, string Name, bool ExactName, string Origin)
{
    public bool IsScalar => Kind is not (LayerEntryKind.Object or LayerEntryKind.List);

    /// <summary>The value in a message: text in quotes, numbers bare, containers by kind.</summary>
    public string Shown => Kind switch
    {
        LayerEntryKind.Object => "an object",
        LayerEntryKind.List => "a list",
        LayerEntryKind.Null => "null",
        LayerEntryKind.Number or LayerEntryKind.Boolean => Text!,
        _ => $"\"{Text}\"",
    };
}
