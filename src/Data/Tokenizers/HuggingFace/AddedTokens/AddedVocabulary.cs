namespace Trainer.Data.HuggingFace;

/// <summary>The added tokens of a tokenizer, numbered as Hugging Face's library numbers them.</summary>
/// <remarks>A token of the model keeps its id; others follow the model's. The file's own <c>id</c> is only what was expected.</remarks>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly SortedDictionary<int, AddedToken> tokens = [];

    public AddedVocabulary(IEnumerable<AddedToken> added, Model model, Normalizer? normalizer)
    {
        foreach (var token in added.Where(token => token.Content.Length > 0))
        {
            var id = Number(token.Content, model);
            ids[token.Content] = id;
            tokens[id] = token with { Id = id, Sought = token.Normalized && normalizer is not null ? normalizer.Apply(token.Content) : token.Content };
        }
        Plain = AddedTokenMatcher.Of(tokens.Values.Where(token => !token.Normalized));
        Normalized = AddedTokenMatcher.Of(tokens.Values.Where(token => token.Normalized));
    }

    /// <summary>Finds the tokens that are looked for in the text as it is; null when there are none.</summary>
    public AddedTokenMatcher? Plain { get; }

    /// <summary>Finds the tokens that are looked for in normalized text; null when there are none.</summary>
    public AddedTokenMatcher? Normalized { get; }

    /// <summary>All added tokens by id.</summary>
    public IReadOnlyDictionary<int, AddedToken> Tokens => tokens;

    public int Largest => tokens.Count == 0 ? -1 : tokens.Keys.Last();

    /// <summary>The id of an added token, or −1.</summary>
    public int Id(string content) => ids.TryGetValue(content, out var id) ? id : -1;

    private int Number(string content, Model model)
    {
        if (ids.TryGetValue(content, out var known))
            return known;
        if (model.Id(content) is var id and >= 0)
            return id;
        return ids.Count == 0 ? model.Size : Math.Max(model.Size, ids.Values.Max() + 1);
    }
}
