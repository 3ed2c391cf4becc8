using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>The layers, lowest first: the highest that has a key wins.</summary>
internal sealed class LayerStack
{
    private readonly Layer[] layers;
    private readonly IConfigurationRoot root;

    public LayerStack(IEnumerable<Layer> lowestFirst)
    {
        layers = [.. lowestFirst];
        for (var upper = 1; upper < layers.Length; upper++)
            Settle(upper);
        var builder = new ConfigurationBuilder();
        foreach (var layer in layers)
            builder.Add(layer);
        root = builder.Build();
    }

    public Setting Root => new(this, "", "");

    /// <summary>The entry of the highest layer at exactly this key; null when there are only deeper keys.</summary>
    public LayerEntry? Top(string key) => At(key).LastOrDefault().Entry;

    public IEnumerable<(int Rank, LayerEntry Entry)> At(string key) =>
        from rank in Enumerable.Range(0, layers.Length)
        where layers[rank].Entries.ContainsKey(key)
        select (rank, layers[rank].Entries[key]);

    public IEnumerable<int> RanksTouching(string key) =>
        Enumerable.Range(0, layers.Length).Where(rank => layers[rank].Touches(key));

    public void Drop(int rank, string key) => layers[rank].DropTree(key);

    /// <summary>The names directly below a key in any layer; list indices in numeric order.</summary>
    public IEnumerable<string> ChildNames(string key) =>
        (key.Length == 0 ? root.GetChildren() : root.GetSection(key).GetChildren()).Select(section => section.Key);

    private void Settle(int upper)
    {
        foreach (var (key, entry) in layers[upper].Entries)
        {
            foreach (var lower in layers.AsSpan(0, upper))
                lower.GiveWay(key, entry.Kind);
        }
    }
}

/// <summary>One setting of the merged configuration; its key is joined by colons, its path in messages by dots.</summary>
internal sealed record Setting(LayerStack Stack, string Key, string Path)
{
    /// <summary>The winning entry; null when absent, or when it is a container that only deeper keys imply.</summary>
    public LayerEntry? Entry => Stack.Top(Key);

    public bool Exists => Entry is not null || Names.Any();

    public IEnumerable<string> Names => Stack.ChildNames(Key);

    /// <summary>The names below with the spelling of the lowest layer that gives each (a file's, if one does).</summary>
    public IEnumerable<Setting> Children => Names.Select(name => Child(Spelling(name)));

    public string Name => Key[(Key.LastIndexOf(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal) + 1)..];

    /// <summary>Where the value comes from; for an implied container, where its first content does.</summary>
    public string Origin => Entry?.Origin ?? Children.Select(child => child.Origin).FirstOrDefault("by default");

    public Setting Child(string name) => new(Stack, Join(Key, ConfigurationPath.KeyDelimiter, name), Join(Path, ".", name));

    public Setting Find(string relative) => relative.Length == 0
        ? this
        : relative.Split('.').Aggregate(this, (setting, name) => setting.Child(name));

    private string Spelling(string name) =>
        Stack.At(Join(Key, ConfigurationPath.KeyDelimiter, name)).Select(found => found.Entry.Name).FirstOrDefault(name);

    private static string Join(string parent, string delimiter, string name) =>
        parent.Length == 0 ? name : parent + delimiter + name;
}
