namespace Trainer.Data.HuggingFace;

/// <summary>Split at the matches of a regular expression, or between them when inverted.</summary>
internal sealed class ExpressionSplit(RegularExpression expression, SplitBehavior behavior, bool invert) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var segments = new List<Segment>();
        var previous = 0;
        var matches = new Matches(expression, text);
        while (matches.MoveNext())
        {
            if (matches.Start > previous)
                segments.Add(new Segment(previous, matches.Start, invert));
            segments.Add(new Segment(matches.Start, matches.End, !invert));
            previous = matches.End;
        }
        if (previous < text.Length)
            segments.Add(new Segment(previous, text.Length, invert));
        Segments.Emit(segments, behavior, text, atStart, next);
    }
}
