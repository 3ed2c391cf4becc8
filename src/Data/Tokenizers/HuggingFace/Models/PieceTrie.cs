namespace Trainer.Data.HuggingFace;

/// <summary>A trie of tokens over UTF-16 units, kept as one table of (node, unit) → node.</summary>
internal sealed class PieceTrie
{
    private readonly Dictionary<(int Node, char Unit), int> children = [];
    private readonly List<int> ids = [-1];

    /// <summary>Makes the trie; of equal tokens the last one's id counts, and empty ones are left out.</summary>
    public PieceTrie(IReadOnlyList<string> tokens)
    {
        for (var id = 0; id < tokens.Count; id++)
        {
            var node = 0;
            foreach (var unit in tokens[id])
            {
                if (!children.TryGetValue((node, unit), out var child))
                {
                    children[(node, unit)] = child = ids.Count;
                    ids.Add(-1);
                }
                node = child;
            }
            if (node != 0)
                ids[node] = id;
        }
    }

    /// <summary>Takes a step from a node (0 is the root).</summary>
    /// <param name="node">The node, and then the next one.</param>
    /// <param name="unit">The UTF-16 unit to follow.</param>
    /// <param name="id">The token that ends there, or −1.</param>
    /// <returns>Whether any token goes on with this unit.</returns>
    public bool Step(ref int node, char unit, out int id)
    {
        if (!children.TryGetValue((node, unit), out node))
        {
            id = -1;
            return false;
        }
        id = ids[node];
        return true;
    }
}
