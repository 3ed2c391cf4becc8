using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers;

/// <summary>A hand-written equivalent of a well-known split expression whose matches cover any text.</summary>
internal abstract class Scanner
{
    public abstract int End(ReadOnlySpan<char> text, int start);

    public static Scanner? For(string pattern) => pattern switch
    {
        Gpt2Scanner.Pattern => new Gpt2Scanner(),
        Cl100kScanner.Llama3Pattern => new Cl100kScanner(digits: 3),
        Cl100kScanner.Qwen2Pattern => new Cl100kScanner(digits: 1),
        O200kScanner.Pattern => new O200kScanner(),
        _ => null,
    };
}

internal sealed class Gpt2Scanner : Scanner
{
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Space = CharacterClass.Space;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        if (Contraction.Length(text, start, ignoreCase: false) is var contraction and > 0)
            return start + contraction;
        var first = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = CharacterClass.At(text, first, out var length);
        if ((kind & Letter) != 0)
            return CharacterClass.Run(text, first + length, Letter);
        if ((kind & Number) != 0)
            return CharacterClass.Run(text, first + length, Number);
        return (kind & Space) == 0
            ? CharacterClass.RunExcept(text, first + length, Space | Letter | Number)
            : CharacterClass.SpaceEnd(text, start);
    }
}

/// <summary>The split expression of GPT-4 and Llama 3 (numbers in threes) and Qwen 2 (single digits).</summary>
internal sealed class Cl100kScanner(int digits) : Scanner
{
    public const string Llama3Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const string Qwen2Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Space = CharacterClass.Space,
    Line = CharacterClass.Line;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        if (Contraction.Length(text, start, ignoreCase: true) is var contraction and > 0)
            return start + contraction;
        var kind = CharacterClass.At(text, start, out var length);
        if ((kind & Letter) != 0)
            return CharacterClass.Run(text, start + length, Letter);
        if ((kind & Number) != 0)
            return Digits(text, start, digits);
        if ((kind & Line) == 0 && CharacterClass.Run(text, start + length, Letter) is var word && word > start + length)
            return word;
        return Symbols(text, start, Line) is var symbols && symbols > start ? symbols : Spaces(text, start);
    }

    /// <summary>The end of <c>\p{N}{1,most}</c>, at a number.</summary>
    public static int Digits(ReadOnlySpan<char> text, int start, int most)
    {
        for (var count = 0; count < most && start < text.Length && (CharacterClass.At(text, start, out var length) & Number) != 0; count++)
            start += length;
        return start;
    }

    /// <summary>The end of <c> ?[^\s\p{L}\p{N}]+[\r\n]*</c>, or the start if it does not match.</summary>
    public static int Symbols(ReadOnlySpan<char> text, int start, byte trailing)
    {
        var first = text[start] == ' ' ? start + 1 : start;
        var end = CharacterClass.RunExcept(text, first, Space | Letter | Number);
        return end == first ? start : CharacterClass.Run(text, end, trailing);
    }

    /// <summary>The end of <c>\s*[\r\n]+|\s+(?!\S)|\s+</c>: through the last line break in the white space, if any.</summary>
    public static int Spaces(ReadOnlySpan<char> text, int start)
    {
        var end = CharacterClass.Run(text, start, Space);
        var line = text[start..end].LastIndexOfAny('\r', '\n');
        return line >= 0 ? start + line + 1 : CharacterClass.SpaceEnd(text, start);
    }
}

/// <summary>The split expression of GPT-4o and Llama 4: words split by case, with English contractions.</summary>
internal sealed class O200kScanner : Scanner
{
    public const string Pattern =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Line = CharacterClass.Line;
    private const byte Upper = CharacterClass.Upper, Lower = CharacterClass.Lower;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        var kind = CharacterClass.At(text, start, out var length);
        if ((kind & Number) != 0)
            return Cl100kScanner.Digits(text, start, 3);
        if (Word(text, start, kind, length) is var word and > 0)
            return word;
        return Symbols(text, start) is var symbols && symbols > start ? symbols : Cl100kScanner.Spaces(text, start);
    }

    /// <summary>The first two alternatives, each tried with and then without the optional leading character; −1 if none matches.</summary>
    private static int Word(ReadOnlySpan<char> text, int start, byte kind, int length)
    {
        var leads = (kind & (Line | Letter | Number)) == 0;
        var end = leads ? Lowered(text, start + length) : -1;
        if (end < 0)
            end = Lowered(text, start);
        if (end < 0 && leads)
            end = Raised(text, start + length);
        if (end < 0)
            end = Raised(text, start);
        return end < 0 ? -1 : end + Contraction.Length(text, end, ignoreCase: true);
    }

    /// <summary>The end of <c>Upper*Lower+</c>, or −1; backtracks over the capitals.</summary>
    private static int Lowered(ReadOnlySpan<char> text, int start)
    {
        var capitals = CharacterClass.Run(text, start, Upper);
        var end = CharacterClass.Run(text, capitals, Lower);
        if (end > capitals)
            return end;
        for (var last = capitals; last > start;)   // back to the last capital that is also Lower (caseless)
        {
            var next = last;
            last -= last - start >= 2 && char.IsLowSurrogate(text[last - 1]) ? 2 : 1;
            if ((CharacterClass.At(text, last, out _) & Lower) != 0)
                return next;
        }
        return -1;
    }

    /// <summary>The end of <c>Upper+Lower*</c>, or −1.</summary>
    private static int Raised(ReadOnlySpan<char> text, int start)
    {
        var capitals = CharacterClass.Run(text, start, Upper);
        return capitals > start ? CharacterClass.Run(text, capitals, Lower) : -1;
    }

    /// <summary>The end of <c> ?[^\s\p{L}\p{N}]+[\r\n/]*</c>, or the start if it does not match.</summary>
    private static int Symbols(ReadOnlySpan<char> text, int start)
    {
        var end = Cl100kScanner.Symbols(text, start, trailing: 0);
        while (end > start && end < text.Length && text[end] is ('\r' or '\n' or '/'))
            end++;
        return end;
    }
}

/// <summary>English contractions kept together by split expressions: 's 't 're 've 'm 'll 'd.</summary>
internal static class Contraction
{
    public static int Length(ReadOnlySpan<char> text, int position, bool ignoreCase)
    {
        if (position + 1 >= text.Length || text[position] != '\'')
            return 0;
        var first = Fold(text[position + 1], ignoreCase);
        if (first is 's' or 't' or 'm' or 'd')
            return 2;
        if (position + 2 >= text.Length)
            return 0;
        return (first, Fold(text[position + 2], ignoreCase)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }

    /// <summary>Unicode folds the long s to s.</summary>
    private static char Fold(char unit, bool ignoreCase) =>
        !ignoreCase ? unit : unit is >= 'A' and <= 'Z' ? (char)(unit | 0x20) : unit == '\u017F' ? 's' : unit;
}

internal static class CharacterClass
{
    public const byte Letter = 1;     // \p{L}
    public const byte Number = 2;     // \p{N}
    public const byte Space = 4;      // \s
    public const byte Line = 8;       // carriage return and line feed
    public const byte Upper = 16;     // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
    public const byte Lower = 32;     // [\p{Ll}\p{Lm}\p{Lo}\p{M}]

    private static readonly byte[] Table = Build();

    /// <summary>The classes of the character at a position, and its length in UTF-16 units.</summary>
    public static byte At(ReadOnlySpan<char> text, int position, out int length)
    {
        var unit = text[position];
        length = 1;
        return (unit & 0xF800) != 0xD800 ? Table[unit] : Supplementary(text, position, out length);
    }

    public static int Run(ReadOnlySpan<char> text, int position, byte classes)
    {
        while (position < text.Length && (At(text, position, out var length) & classes) != 0)
            position += length;
        return position;
    }

    public static int RunExcept(ReadOnlySpan<char> text, int position, byte classes)
    {
        while (position < text.Length && (At(text, position, out var length) & classes) == 0)
            position += length;
        return position;
    }

    /// <summary>The end of <c>\s+(?!\S)|\s+</c>: white space without its last character when a word follows.</summary>
    public static int SpaceEnd(ReadOnlySpan<char> text, int start)
    {
        var end = Run(text, start, Space);
        return end == text.Length || end == start + 1 ? end : end - 1;   // white space characters are single units
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
