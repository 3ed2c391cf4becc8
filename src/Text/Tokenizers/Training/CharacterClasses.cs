using System.Text;

namespace Trainer.Text;

/// <summary>What the split expressions tell apart in a character.</summary>
internal enum CharacterClass : byte
{
    /// <summary>None of the others: punctuation, symbols, marks, controls.</summary>
    Other,

    /// <summary>Unicode's general category L: <c>\p{L}</c>.</summary>
    Letter,

    /// <summary>Unicode's general category N: <c>\p{N}</c>.</summary>
    Number,

    /// <summary>Unicode's property White_Space: <c>\s</c>.</summary>
    Space,
}

/// <summary>The kind of each character, by table for the Basic Multilingual Plane.</summary>
internal static class CharacterClasses
{
    private static readonly CharacterClass[] Basic = [.. Enumerable.Range(0, 0x10000).Select(value => Rune.IsValid(value) ? Classify(new Rune(value)) : CharacterClass.Other)];

    /// <summary>The kind of the character at a position.</summary>
    /// <param name="text">Valid UTF-16.</param>
    /// <param name="position">Where a character begins.</param>
    /// <param name="length">The UTF-16 units it takes: 1 or 2.</param>
    public static CharacterClass At(ReadOnlySpan<char> text, int position, out int length)
    {
        var unit = text[position];
        if (!char.IsHighSurrogate(unit) || position + 1 == text.Length)
        {
            length = 1;
            return Basic[unit];
        }
        length = 2;
        return Classify(new Rune(unit, text[position + 1]));
    }

    /// <summary>Where the run of one kind that begins at a position ends.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int position, CharacterClass kind)
    {
        while (position < text.Length && At(text, position, out var length) == kind)
            position += length;
        return position;
    }

    private static CharacterClass Classify(Rune character) =>
        Rune.IsLetter(character) ? CharacterClass.Letter
        : Rune.IsNumber(character) ? CharacterClass.Number
        : Rune.IsWhiteSpace(character) ? CharacterClass.Space
        : CharacterClass.Other;
}
