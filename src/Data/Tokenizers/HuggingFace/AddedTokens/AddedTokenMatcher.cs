using System.Buffers;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Finds added tokens in text: the leftmost, of those the longest.</summary>
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

    /// <summary>A matcher for tokens; null when there is nothing to find.</summary>
    public static AddedTokenMatcher? Of(IEnumerable<AddedToken> tokens) =>
        tokens.Where(token => token.Sought.Length > 0).ToArray() is { Length: > 0 } sought ? new AddedTokenMatcher(sought) : null;

    /// <summary>Whether the text may hold a token at all.</summary>
    public bool IsIn(ReadOnlySpan<char> text) => text.IndexOfAny(patterns) >= 0;

    /// <summary>Cuts a text into tokens and the text between.</summary>
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
