using System.Buffers;
using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>The added tokens, numbered as in Hugging Face's library.</summary>
/// <remarks>A token that the model knows keeps its id; others follow the model's. The file's own <c>id</c> does not count.</remarks>
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
    }

    /// <summary>Matches tokens in the original text; null without any.</summary>
    public AddedTokenMatcher? Plain { get; }

    /// <summary>Matches tokens in normalized text; null without any.</summary>
    public AddedTokenMatcher? Normalized { get; }

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

/// <summary>A token matched in the text before anything else.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether it controls the model.</param>
/// <param name="SingleWord">Whether it must not touch other words.</param>
/// <param name="StripLeft">Whether it absorbs white space on the left.</param>
/// <param name="StripRight">Whether it absorbs white space on the right.</param>
/// <param name="Normalized">Whether it is matched in normalized text, normalized itself.</param>
/// <param name="Sought">What is matched and passed to decoders: the content, normalized if so wanted.</param>
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

    /// <summary>Null when there is nothing to find.</summary>
    public static AddedTokenMatcher? Of(IEnumerable<AddedToken> tokens) =>
        tokens.Where(token => token.Sought.Length > 0).ToArray() is { Length: > 0 } sought ? new AddedTokenMatcher(sought) : null;

    /// <summary>Whether the text may contain a token at all.</summary>
    public bool IsIn(ReadOnlySpan<char> text) => text.IndexOfAny(patterns) >= 0;

    /// <summary>Splits a text into tokens and the text between.</summary>
    public List<AddedTokenMatch> Split(ReadOnlySpan<char> text)
    {
        var parts = new List<AddedTokenMatch>();
        var (written, from) = (0, 0);
        while (text[from..].IndexOfAny(patterns) is var next and >= 0)
        {
            var start = from + next;
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

/// <summary>A range of a text: an added token, or text between tokens (null).</summary>
internal readonly record struct AddedTokenMatch(int Start, int End, AddedToken? Token);
