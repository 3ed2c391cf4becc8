namespace Trainer.Data;

/// <summary>Where a text that is too long to encode at once is cut.</summary>
/// <remarks>Encoded apart, both parts should give the tokens that they give together. For the split expressions in use
/// that holds before a line that follows a line break without white space around it, and before a single space between two letters.
/// Only where a long stretch has neither is the cut somewhere else.</remarks>
internal static class TextCut
{
    private const int Window = 1 << 16;

    /// <summary>The best place, near the end.</summary>
    /// <param name="text">More than two UTF-16 units, a whole number of characters.</param>
    /// <returns>A number of units that leaves something on both sides.</returns>
    public static int Find(ReadOnlySpan<char> text)
    {
        var from = Math.Max(1, text.Length - Window);
        return BetweenLines(text, from) ?? BeforeSpace(text, from) ?? AfterLineBreak(text, from) ?? Anywhere(text);
    }

    private static int? BetweenLines(ReadOnlySpan<char> text, int from)
    {
        for (var at = text[..^1].LastIndexOf('\n'); at >= from; at = text[..at].LastIndexOf('\n'))
            if (!char.IsWhiteSpace(text[at - 1]) && !char.IsWhiteSpace(text[at + 1]))
                return at + 1;
        return null;
    }

    private static int? BeforeSpace(ReadOnlySpan<char> text, int from)
    {
        for (var at = text[..^1].LastIndexOf(' '); at >= from; at = text[..at].LastIndexOf(' '))
            if (char.IsLetter(text[at - 1]) && char.IsLetter(text[at + 1]))
                return at;
        return null;
    }

    private static int? AfterLineBreak(ReadOnlySpan<char> text, int from) =>
        text[..^1].LastIndexOf('\n') is var at && at >= from ? at + 1 : null;

    private static int Anywhere(ReadOnlySpan<char> text) => char.IsLowSurrogate(text[^1]) ? text.Length - 2 : text.Length - 1;
}
