namespace Trainer.Text.HuggingFace;

/// <summary>Split at the matches of a regular expression, or between them when inverted.</summary>
internal sealed class ExpressionSplit(RegularExpression expression, SplitBehavior behavior, bool invert) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var segments = new List<Segment>();
        var (previous, from) = (0, 0);
        while (from <= text.Length && expression.Find(text, from, out var start, out var end))
        {
            if (start > previous)
                segments.Add(new Segment(previous, start, invert));
            segments.Add(new Segment(start, end, !invert));
            previous = end;
            from = end > start ? end : NextCharacter(text, end);
        }
        if (previous < text.Length)
            segments.Add(new Segment(previous, text.Length, invert));
        Segments.Emit(segments, behavior, text, atStart, next);
    }

    private static int NextCharacter(ReadOnlySpan<char> text, int at) =>
        at + 1 < text.Length && char.IsHighSurrogate(text[at]) ? at + 2 : at + 1;
}
