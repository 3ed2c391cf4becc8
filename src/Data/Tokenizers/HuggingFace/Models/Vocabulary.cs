using System.Text.Json.Nodes;

namespace Trainer.Data.HuggingFace;

/// <summary>Tokens by id and ids by token.</summary>
internal sealed class Vocabulary
{
    /// <summary>Far above any real vocabulary; a larger id is a damaged file, and the table by id must stay small.</summary>
    private const int LargestId = 1 << 24;

    private readonly Dictionary<string, int> ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;

    private Vocabulary(Dictionary<string, int> ids, string?[] tokens)
    {
        this.ids = ids;
        lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Tokens = tokens;
    }

    public IReadOnlyList<string?> Tokens { get; }

    public int Count => ids.Count;

    public int Id(ReadOnlySpan<char> token) => lookup.TryGetValue(token, out var id) ? id : -1;

    /// <summary>Reads <c>vocab</c> as an object of ids by token.</summary>
    public static Vocabulary Of(Part model)
    {
        if (model.Content["vocab"] is not JsonObject entries)
            throw model.Damaged("vocab must be an object of ids by token");
        var ids = new Dictionary<string, int>(entries.Count, StringComparer.Ordinal);
        var largest = -1;
        foreach (var (token, value) in entries)
        {
            var id = value is JsonValue number && number.TryGetValue<int>(out var parsed) && parsed is >= 0 and <= LargestId
                ? parsed
                : throw model.Damaged($"vocab gives the token \"{token}\" the id {value?.ToJsonString() ?? "null"}, not a number from 0 to {LargestId}");
            ids[model.Whole("vocab", token)] = id;
            largest = Math.Max(largest, id);
        }
        var tokens = new string?[largest + 1];
        foreach (var (token, id) in ids)
            tokens[id] = token;
        return new Vocabulary(ids, tokens);
    }

    /// <summary>Numbers tokens in their order.</summary>
    public static Vocabulary Of(IReadOnlyList<string> tokens)
    {
        var ids = new Dictionary<string, int>(tokens.Count, StringComparer.Ordinal);
        for (var id = 0; id < tokens.Count; id++)
            ids[tokens[id]] = id;
        return new Vocabulary(ids, [.. tokens]);
    }
}
