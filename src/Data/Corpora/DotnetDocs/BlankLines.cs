namespace Trainer.Data;

/// <summary>Divides a text into documents, each of which ends with a blank line.</summary>
internal static class BlankLines
{
    /// <summary>The same text, in documents.</summary>
    /// <param name="pieces">The pieces of one text, in order.</param>
    public static IEnumerable<TextPiece> Documents(IEnumerable<TextPiece> pieces)
    {
        var (starts, endsLine) = (true, false);
        foreach (var piece in pieces)
        {
            var (rest, line) = (piece.Text, piece.Line);
            while (!rest.IsEmpty)
            {
                var (length, isEnd) = Next(rest.Span, endsLine);
                var part = rest[..length];
                yield return piece with { Text = part, StartsDocument = starts, Line = line };
                line += part.Span.Count('\n');
                (starts, endsLine, rest) = (isEnd, !isEnd && part.Span[^1] == '\n', rest[length..]);
            }
        }
    }

    /// <summary>The next part of a document, up to its end where that is here: the two line breaks may be in two pieces.</summary>
    private static (int Length, bool IsEnd) Next(ReadOnlySpan<char> text, bool endsLine)
    {
        if (endsLine && text[0] == '\n')
            return (1, true);
        var end = text.IndexOf("\n\n");
        return end < 0 ? (text.Length, false) : (end + 2, true);
    }
}
