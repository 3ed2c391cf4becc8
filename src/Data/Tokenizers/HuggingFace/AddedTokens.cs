using System.Buffers;
using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>As in Hugging Face's library, tokens that the model has keep their ids, others follow; file <c>id</c>s are ignored.</summary>
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
            tokens[id] = token with { Id = id,
                Sought = token.Normalized && normalizer is not null ? normalizer.Apply(token.Content) : token.Content };
        }
        Plain = AddedTokenMatcher.Of(tokens.Values.Where(token => !token.Normalized));
        Normalized = AddedTokenMatcher.Of(tokens.Values.Where(token => token.Normalized));
        Special = AddedTokenMatcher.Of(tokens.Values.Where(token => token.Special).Select(token => token with { Sought = token.Content }));
        PlainOrdinary = AddedTokenMatcher.Of(tokens.Values.Where(token => !token.Normalized && !token.Special));
        NormalizedOrdinary = AddedTokenMatcher.Of(tokens.Values.Where(token => token.Normalized && !token.Special));
    }

    public AddedTokenMatcher? Plain { get; }

    public AddedTokenMatcher? Normalized { get; }

    /// <summary>Special tokens alone, in text that is not normalized.</summary>
    public AddedTokenMatcher? Special { get; }

    public AddedTokenMatcher? PlainOrdinary { get; }

    public AddedTokenMatcher? NormalizedOrdinary { get; }

    public IReadOnlyDictionary<int, AddedToken> Tokens => tokens;

    public int Largest => tokens.Count == 0 ? -1 : tokens.Keys.Last();

    /// <summary>−1 for none.</summary>
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

/// <summary><c>SingleWord</c> tokens must not touch other words; <c>StripLeft</c> and <c>StripRight</c> absorb white space. <c>Sought</c>
/// is what is matched and passed to decoders: the content, normalized for <c>Normalized</c> ones.</summary>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, string Sought)
{
    public static AddedToken Of(JsonSection section)
    {
        var special = section.Flag("special", false);
        var content = section.Text("content");
        return new AddedToken(-1, content, special, section.Flag("single_word", false),
            section.Flag("lstrip", false), section.Flag("rstrip", false), section.Flag("normalized", !special), content);
    }
}

/// <summary>Finds added tokens: leftmost, then longest.</summary>
internal sealed class AddedTokenMatcher
{
    private static readonly CodePointSet Word = new(CharacterKind.IsRustWord);

    private readonly SearchValues<string> patterns;
    private readonly Dictionary<char, AddedToken[]> byFirst;

    private AddedTokenMatcher(AddedToken[] tokens)
    {
        patterns = SearchValues.Create([.. tokens.Select(token => token.Sought)], StringComparison.Ordinal);
        byFirst = tokens.GroupBy(token => token.Sought[0])
            .ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Sought.Length).ToArray());
    }

    public static AddedTokenMatcher? Of(IEnumerable<AddedToken> tokens) =>
        tokens.Where(token => token.Sought.Length > 0).ToArray() is { Length: > 0 } sought ? new AddedTokenMatcher(sought) : null;

    /// <summary>Whether the text may contain a token at all.</summary>
    public bool IsIn(ReadOnlySpan<char> text) => text.IndexOfAny(patterns) >= 0;

    /// <summary>Divides a text; a token that begins at one of <paramref name="except"/> is none.</summary>
    public List<AddedTokenMatch> Split(ReadOnlySpan<char> text, IReadOnlySet<int>? except = null)
    {
        var parts = new List<AddedTokenMatch>();
        var (written, from) = (0, 0);
        while (text[from..].IndexOfAny(patterns) is var next and >= 0)
        {
            var start = from + next;
            if (except?.Contains(start) == true)
            {
                from = start + 1;
                continue;
            }
            var token = Longest(text[start..]);
            from = start + token.Sought.Length;
            if (token.SingleWord && (EndsWithWord(text[..start]) || BeginsWithWord(text[from..])))
                continue;
            var end = from;
            if (token.StripLeft)
                start = Math.Max(written, text[..start].TrimEnd().Length);
            if (token.StripRight)
                end = text.Length - text[end..].TrimStart().Length;
            if (written < start)
                parts.Add(new AddedTokenMatch(written, start, null));
            parts.Add(new AddedTokenMatch(start, end, token));
            written = end;
        }
        if (written < text.Length)
            parts.Add(new AddedTokenMatch(written, text.Length, null));
        return parts;
    }

    private AddedToken Longest(ReadOnlySpan<char> text)
    {
        foreach (var token in byFirst[text[0]])
            if (text.StartsWith(token.Sought, StringComparison.Ordinal))
                return token;
        throw new InvalidOperationException("a found token is not there");
    }

    private static bool BeginsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var character, out _) == OperationStatus.Done && Word.Contains(character.Value);

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var character, out _) == OperationStatus.Done && Word.Contains(character.Value);
}

internal readonly record struct AddedTokenMatch(int Start, int End, AddedToken? Token);
