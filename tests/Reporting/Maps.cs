namespace Trainer.Reporting.Tests;

/// <summary>Attention maps whose weights a test knows.</summary>
internal static class Maps
{
    /// <summary>Every head of a causal stack puts 3/4 of each token's attention on the token itself and shares the rest among those before
    /// it.</summary>
    public static AttentionStack Causal(string name, IReadOnlyList<string> tokens, int layers, int heads) =>
        Stack(name, tokens, tokens, layers, heads,
        (query, key) => key > query ? 0 : query == 0 ? 1 : key == query ? 0.75f : 0.25f / query);

    /// <summary>Every token looks at all keys alike.</summary>
    public static AttentionStack Even(string name, IReadOnlyList<string> queries, IReadOnlyList<string> keys, int layers, int heads) =>
        Stack(name, queries, keys, layers, heads, (_, _) => 1f / keys.Count);

    public static string[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(i => $"t{i}")];

    private static AttentionStack Stack(
        string name, IReadOnlyList<string> queries, IReadOnlyList<string> keys, int layers, int heads, Func<int, int, float> weight)
    {
        float[] one = [.. from query in Enumerable.Range(0, queries.Count) from key in Enumerable.Range(0, keys.Count) select weight(
            query, key)];
        float[] all = [.. Enumerable.Repeat(one, heads).SelectMany(head => head)];
        return new AttentionStack { Name = name, Queries = queries, Keys = keys,
            Layers = [.. Enumerable.Range(0, layers).Select(layer => new AttentionLayer(layer, heads, all))] };
    }
}
