namespace Trainer.Data.HuggingFace;

/// <summary>All matches of an expression in a text, from left to right, as Oniguruma's binding for Rust gives them.</summary>
/// <remarks>A match of nothing does not count right after another match.</remarks>
internal ref struct Matches(RegularExpression expression, ReadOnlySpan<char> text)
{
    private readonly ReadOnlySpan<char> text = text;
    private int from;
    private int previousEnd = -1;

    /// <summary>Where the current match begins.</summary>
    public int Start { get; private set; }

    /// <summary>Where the current match ends.</summary>
    public int End { get; private set; }

    /// <summary>Goes to the next match.</summary>
    /// <returns>Whether there is one.</returns>
    public bool MoveNext()
    {
        while (from <= text.Length && expression.Find(text, from, out var start, out var end))
        {
            from = end;
            if (start == end && end == previousEnd)
            {
                from += from + 1 < text.Length && char.IsHighSurrogate(text[from]) ? 2 : 1;
                continue;
            }
            (Start, End, previousEnd) = (start, end, end);
            return true;
        }
        return false;
    }
}
