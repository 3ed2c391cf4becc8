using System.Globalization;
using System.Text;

namespace Trainer.Data.Tokenizers.Unicode;

/// <summary>Character properties as defined by Rust, Oniguruma and Hugging Face's tokenizers.</summary>
internal static class CharacterKind
{
    public static UnicodeCategory Category(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint);

    /// <summary>Unicode's White_Space, also <c>\s</c>; all in the first plane.</summary>
    public static bool IsWhiteSpace(int codePoint) => codePoint < 0x10000 && char.IsWhiteSpace((char)codePoint);

    public static bool IsLetter(int codePoint) => Category(codePoint) <= UnicodeCategory.OtherLetter;

    public static bool IsMark(int codePoint) =>
        Category(codePoint) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    public static bool IsNumber(int codePoint) =>
        Category(codePoint) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>Rust's <c>char::is_numeric</c>, one Unicode version (17) ahead of the runtime's tables.</summary>
    public static bool IsNumeric(int codePoint) =>
        IsNumber(codePoint) || codePoint is (>= 0x11DE0 and <= 0x11DE9) or (>= 0x16FF4 and <= 0x16FF6);

    /// <summary>Oniguruma's <c>\w</c>: alphabetic, marks, decimal digits, connectors, and superscripts and fractions of Latin-1.</summary>
    public static bool IsWord(int codePoint) => IsRustWord(codePoint) && codePoint is not (0x200C or 0x200D)
        || codePoint is 0xB2 or 0xB3 or 0xB9 or (>= 0xBC and <= 0xBE);

    /// <summary><c>\w</c> of Rust's <c>regex</c>: alphabetic, marks, decimal digits, connectors, and the two joiners.</summary>
    public static bool IsRustWord(int codePoint) => Category(codePoint) is
        <= UnicodeCategory.OtherLetter or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark
            or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
        || codePoint is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
        or (>= 0x1F170 and <= 0x1F189);

    /// <summary>What BertNormalizer drops as control characters; keeps tab, line feed and carriage return.</summary>
    public static bool IsBertControl(int codePoint) => codePoint is not ('\t' or '\n' or '\r')
        && Category(codePoint) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse
        && codePoint is not (0x890 or 0x891 or 0x8E2 or 0x110CD or (>= 0x13430 and <= 0x1343F));

    public static bool IsChinese(int codePoint) => codePoint is
        (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F)
        or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);

    /// <summary>Appends a character's lower case without context (a final sigma is a sigma).</summary>
    public static void AppendLower(StringBuilder text, Rune character)
    {
        var value = character.Value;
        if (value == 0x130)
            text.Append("i\u0307");
        else if (value is 0xA7CE or 0xA7D2 or 0xA7D4)   // Unicode 17, unknown to the runtime
            text.Append((char)(value + 1));
        else if (value is >= 0x16EA0 and <= 0x16EB8)
            text.Append(new Rune(value + 0x1B).ToString());
        else if (character.IsBmp)
            text.Append(char.ToLowerInvariant((char)value));
        else
            text.Append(Rune.ToLowerInvariant(character).ToString());
    }
}

/// <summary>A set of code points: a bit each in the Basic Multilingual Plane, a predicate beyond.</summary>
internal sealed class CodePointSet
{
    private readonly ulong[] bits = new ulong[0x10000 / 64];
    private readonly Func<int, bool> contains;

    public CodePointSet(Func<int, bool> contains)
    {
        this.contains = contains;
        for (var codePoint = 0; codePoint < 0x10000; codePoint++)
            if (contains(codePoint))
                bits[codePoint >> 6] |= 1UL << (codePoint & 63);
    }

    public bool Contains(int codePoint) =>
        codePoint < 0x10000 ? (bits[codePoint >> 6] & (1UL << (codePoint & 63))) != 0 : contains(codePoint);

    public static CodePointSet Of(IEnumerable<(int First, int Last)> ranges)
    {
        (int First, int Last)[] sorted = [.. ranges];
        var firsts = Array.ConvertAll(sorted, range => range.First);
        return new CodePointSet(codePoint =>
        {
            var at = Array.BinarySearch(firsts, codePoint);
            at = at < 0 ? ~at - 1 : at;
            return at >= 0 && codePoint <= sorted[at].Last;
        });
    }
}
