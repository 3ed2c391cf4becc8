using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>The layers, lowest first, merged by Microsoft.Extensions.Configuration: the highest layer that has a key wins.</summary>
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

    /// <summary>What the highest layer says at exactly this key; nothing when only deeper keys were given.</summary>
    public Entry? Top(string key) => At(key).LastOrDefault().Entry;

    /// <summary>What every layer says at this key, lowest first, each with the rank of its layer.</summary>
    public IEnumerable<(int Rank, Entry Entry)> At(string key) =>
        from rank in Enumerable.Range(0, layers.Length)
        where layers[rank].Entries.ContainsKey(key)
        select (rank, layers[rank].Entries[key]);

    /// <summary>The ranks of the layers that say something at this key or below it.</summary>
    public IEnumerable<int> RanksTouching(string key) =>
        Enumerable.Range(0, layers.Length).Where(rank => layers[rank].Touches(key));

    public void Drop(int rank, string key) => layers[rank].DropTree(key);

    /// <summary>The names given directly below a key by any layer; list indices in numeric order.</summary>
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
