using System.Globalization;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>The sets of characters that the scanners tell apart, as bits in one table.</summary>
internal static class CharacterClass
{
    /// <summary><c>\p{L}</c>.</summary>
    public const byte Letter = 1;

    /// <summary><c>\p{N}</c>.</summary>
    public const byte Number = 2;

    /// <summary><c>\s</c>.</summary>
    public const byte Space = 4;

    /// <summary>Carriage return and line feed.</summary>
    public const byte Line = 8;

    /// <summary><c>[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]</c>.</summary>
    public const byte Upper = 16;

    /// <summary><c>[\p{Ll}\p{Lm}\p{Lo}\p{M}]</c>.</summary>
    public const byte Lower = 32;

    private static readonly byte[] Table = Build();

    /// <summary>The classes of the character at a position, and how many UTF-16 units it takes.</summary>
    public static byte At(ReadOnlySpan<char> text, int position, out int length)
    {
        var unit = text[position];
        length = 1;
        return (unit & 0xF800) != 0xD800 ? Table[unit] : Supplementary(text, position, out length);
    }

    /// <summary>The end of the characters of a class that begin here.</summary>
    public static int Run(ReadOnlySpan<char> text, int position, byte classes)
    {
        while (position < text.Length && (At(text, position, out var length) & classes) != 0)
            position += length;
        return position;
    }

    /// <summary>The end of the characters that begin here and are of none of the classes.</summary>
    public static int RunExcept(ReadOnlySpan<char> text, int position, byte classes)
    {
        while (position < text.Length && (At(text, position, out var length) & classes) == 0)
            position += length;
        return position;
    }

    /// <summary>The end of <c>\s+(?!\S)|\s+</c>: white space without the last character before a word, when there is more than that.</summary>
    public static int SpaceEnd(ReadOnlySpan<char> text, int start)
    {
        var end = Run(text, start, Space);
        return end == text.Length || end == start + 1 ? end : end - 1;   // white space is one unit each
    }

    private static byte Supplementary(ReadOnlySpan<char> text, int position, out int length)
    {
        var valid = Rune.DecodeFromUtf16(text[position..], out var character, out length) == System.Buffers.OperationStatus.Done;
        return valid ? Of(character.Value) : (byte)0;
    }

    private static byte Of(int codePoint) => CharacterKind.Category(codePoint) switch
    {
        UnicodeCategory.LowercaseLetter => Letter | Lower,
        UnicodeCategory.UppercaseLetter or UnicodeCategory.TitlecaseLetter => Letter | Upper,
        UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Letter | Upper | Lower,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => Upper | Lower,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Number,
        _ when codePoint is '\r' or '\n' => Space | Line,
        _ when CharacterKind.IsWhiteSpace(codePoint) => Space,
        _ => 0,
    };

    private static byte[] Build()
    {
        var table = new byte[0x10000];
        for (var unit = 0; unit < table.Length; unit++)
            table[unit] = char.IsSurrogate((char)unit) ? (byte)0 : Of(unit);
        return table;
    }
}
