namespace Trainer.Data.HuggingFace;

/// <summary>A parsed regular expression.</summary>
internal abstract record Node
{
    /// <summary>One character of a set.</summary>
    public sealed record One(CodePointSet Set) : Node;

    /// <summary>One after the other; nothing at all when empty.</summary>
    public sealed record Sequence(IReadOnlyList<Node> Parts) : Node;

    /// <summary>The first alternative that leads to a match.</summary>
    public sealed record Alternation(IReadOnlyList<Node> Choices) : Node;

    /// <summary>Repetition; a maximum of −1 is none.</summary>
    public sealed record Repeat(Node Body, int Minimum, int Maximum, RepeatMode Mode) : Node;

    /// <summary>A look ahead or behind.</summary>
    public sealed record Look(Node Body, bool Behind, bool Negative) : Node;

    /// <summary>A group whose first way to match is final.</summary>
    public sealed record Atomic(Node Body) : Node;

    /// <summary>A condition on the position.</summary>
    public sealed record Assertion(Anchor Anchor) : Node;

    /// <summary>The fewest characters that it matches.</summary>
    public int MinimumLength => this switch
    {
        One => 1,
        Sequence sequence => sequence.Parts.Sum(part => part.MinimumLength),
        Alternation alternation => alternation.Choices.Min(choice => choice.MinimumLength),
        Repeat repeat => (int)Math.Min(1_000_000, (long)repeat.Minimum * repeat.Body.MinimumLength),
        Atomic atomic => atomic.Body.MinimumLength,
        _ => 0,
    };

    /// <summary>The number of characters that it always matches, or −1 when that varies.</summary>
    public int FixedLength => this switch
    {
        One => 1,
        Sequence sequence => sequence.Parts.Aggregate(0, (sum, part) => sum < 0 || part.FixedLength < 0 ? -1 : sum + part.FixedLength),
        Alternation alternation => alternation.Choices.Select(choice => choice.FixedLength).Distinct().ToArray() is [var length] ? length : -1,
        Repeat { Body.FixedLength: var length } repeat => length >= 0 && repeat.Minimum == repeat.Maximum ? length * repeat.Minimum : -1,
        Atomic atomic => atomic.Body.FixedLength,
        _ => 0,
    };
}

/// <summary>How a repetition chooses its count.</summary>
internal enum RepeatMode
{
    /// <summary>As many as possible, fewer when the rest needs it.</summary>
    Greedy,

    /// <summary>As few as possible.</summary>
    Lazy,

    /// <summary>As many as possible, and never fewer.</summary>
    Possessive,
}

/// <summary>Positions that Oniguruma's Ruby syntax can ask for.</summary>
internal enum Anchor
{
    /// <summary><c>\A</c>: the start of the text.</summary>
    TextStart,

    /// <summary><c>\z</c>: the end of the text.</summary>
    TextEnd,

    /// <summary><c>\Z</c>: the end of the text or before its last line feed.</summary>
    LastLineEnd,

    /// <summary><c>^</c>: the start of the text or after a line feed.</summary>
    LineStart,

    /// <summary><c>$</c>: the end of the text or before a line feed.</summary>
    LineEnd,

    /// <summary><c>\b</c>: between a word character and another one.</summary>
    WordBoundary,

    /// <summary><c>\B</c>: no word boundary.</summary>
    NoWordBoundary,
}
