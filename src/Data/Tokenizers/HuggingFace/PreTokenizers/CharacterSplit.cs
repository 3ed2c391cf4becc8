namespace Trainer.Data.HuggingFace;

/// <summary>Split at single characters of a kind.</summary>
internal sealed class CharacterSplit(Func<int, bool> isDelimiter, SplitBehavior behavior) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var segments = new List<Segment>();
        var (previous, position) = (0, 0);
        foreach (var character in text.EnumerateRunes())
        {
            var end = position + character.Utf16SequenceLength;
            if (isDelimiter(character.Value))
            {
                if (position > previous)
                    segments.Add(new Segment(previous, position, false));
                segments.Add(new Segment(position, end, true));
                previous = end;
            }
            position = end;
        }
        if (previous < text.Length)
            segments.Add(new Segment(previous, text.Length, false));
        Segments.Emit(segments, behavior, text, atStart, next);
    }
}
