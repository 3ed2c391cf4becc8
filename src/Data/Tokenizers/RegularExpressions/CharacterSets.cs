using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.RegularExpressions;

internal static class CharacterSets
{
    private static readonly ConcurrentDictionary<string, CodePointSet> Properties = new();

    private static readonly (string Short, string Long, UnicodeCategory Category)[] Categories =
    [
        ("Lu", "UppercaseLetter", UnicodeCategory.UppercaseLetter), ("Ll", "LowercaseLetter", UnicodeCategory.LowercaseLetter),
        ("Lt", "TitlecaseLetter", UnicodeCategory.TitlecaseLetter), ("Lm", "ModifierLetter", UnicodeCategory.ModifierLetter),
        ("Lo", "OtherLetter", UnicodeCategory.OtherLetter), ("Mn", "NonspacingMark", UnicodeCategory.NonSpacingMark),
        ("Mc", "SpacingMark", UnicodeCategory.SpacingCombiningMark), ("Me", "EnclosingMark", UnicodeCategory.EnclosingMark),
        ("Nd", "DecimalNumber", UnicodeCategory.DecimalDigitNumber), ("Nl", "LetterNumber", UnicodeCategory.LetterNumber),
        ("No", "OtherNumber", UnicodeCategory.OtherNumber), ("Zs", "SpaceSeparator", UnicodeCategory.SpaceSeparator),
        ("Zl", "LineSeparator", UnicodeCategory.LineSeparator), ("Zp", "ParagraphSeparator", UnicodeCategory.ParagraphSeparator),
        ("Cc", "Control", UnicodeCategory.Control), ("Cf", "Format", UnicodeCategory.Format),
        ("Co", "PrivateUse", UnicodeCategory.PrivateUse),
        ("Cn", "Unassigned", UnicodeCategory.OtherNotAssigned), ("Cs", "Surrogate", UnicodeCategory.Surrogate),
        ("Pc", "ConnectorPunctuation", UnicodeCategory.ConnectorPunctuation), ("Pd", "DashPunctuation", UnicodeCategory.DashPunctuation),
        ("Ps", "OpenPunctuation", UnicodeCategory.OpenPunctuation), ("Pe", "ClosePunctuation", UnicodeCategory.ClosePunctuation),
        ("Pi", "InitialPunctuation", UnicodeCategory.InitialQuotePunctuation),
        ("Pf", "FinalPunctuation", UnicodeCategory.FinalQuotePunctuation),
        ("Po", "OtherPunctuation", UnicodeCategory.OtherPunctuation), ("Sm", "MathSymbol", UnicodeCategory.MathSymbol),
        ("Sc", "CurrencySymbol", UnicodeCategory.CurrencySymbol), ("Sk", "ModifierSymbol", UnicodeCategory.ModifierSymbol),
        ("So", "OtherSymbol", UnicodeCategory.OtherSymbol),
    ];

    private static readonly (string Short, string Long)[] Groups =
        [("L", "Letter"), ("M", "Mark"), ("N", "Number"), ("Z", "Separator"), ("C", "Other"), ("P", "Punctuation"), ("S", "Symbol")];

    public static CodePointSet WhiteSpace { get; } = new(CharacterKind.IsWhiteSpace);

    public static CodePointSet Word { get; } = new(CharacterKind.IsWord);

    public static CodePointSet Digit { get; } = new(codePoint => CharacterKind.Category(codePoint) == UnicodeCategory.DecimalDigitNumber);

    public static CodePointSet HexadecimalDigit { get; } = new(codePoint => codePoint < 128 && char.IsAsciiHexDigit((char)codePoint));

    public static CodePointSet NoLineFeed { get; } = new(codePoint => codePoint != '\n');

    public static CodePointSet Any { get; } = new(_ => true);

    public static CodePointSet Not(CodePointSet set) => new(codePoint => !set.Contains(codePoint));

    public static CodePointSet? Property(string name)
    {
        var plain = name.Replace("_", "").Replace(" ", "").Replace("-", "");
        bool Same(string other) => plain.Equals(other, StringComparison.OrdinalIgnoreCase);
        if (Array.Find(Categories, entry => Same(entry.Short) || Same(entry.Long)) is { Short: not null } category)
            return Properties.GetOrAdd(category.Short,
                _ => new CodePointSet(codePoint => CharacterKind.Category(codePoint) == category.Category));
        if (Array.Find(Groups, entry => Same(entry.Short) || Same(entry.Long)) is not { Short: not null } group)
            return null;
        var members = Categories.Where(entry => entry.Short[0] == group.Short[0]).Select(entry => entry.Category).ToHashSet();
        return Properties.GetOrAdd(group.Short, _ => new CodePointSet(codePoint => members.Contains(CharacterKind.Category(codePoint))));
    }
}

/// <summary>Case-insensitive comparison of single characters, over all of Unicode: <c>s</c>, <c>S</c> and <c>ſ</c> are equal.</summary>
internal static class CaseFolding
{
    private static readonly Lazy<Dictionary<int, int[]>> Variants = new(Build);

    /// <summary>Letters that fold to several characters, which would require looking at their neighbours.</summary>
    private static readonly string[] Ligatures = ["ss", "st", "ff", "fi", "fl"];

    public static int[] Of(int codePoint) =>
        Rune.IsValid(codePoint) && Variants.Value.TryGetValue(Fold(codePoint), out var variants) ? variants : [codePoint];

    public static CodePointSet Ignoring(Func<int, bool> contains) =>
        new(codePoint => contains(codePoint) || Array.Exists(Of(codePoint), variant => contains(variant)));

    /// <summary>Rejects texts that Unicode folds to or from several characters.</summary>
    public static void Check(string literal)
    {
        foreach (var ligature in Ligatures)
            if (literal.Contains(ligature, StringComparison.OrdinalIgnoreCase))
                throw new RegularExpressionException($"ignoring the case of \"{ligature}\", which is also "
                    + "one character in Unicode, is not supported");
        if (literal.EnumerateRunes().Any(character => character.Value is 0xDF or 0x130 or 0x149 or 0x1F0 or 0x390 or 0x3B0 or 0x587
            or (>= 0x1E96 and <= 0x1E9E) or (>= 0x1F50 and <= 0x1FFC) or (>= 0xFB00 and <= 0xFB17)))
            throw new RegularExpressionException($"ignoring the case of \"{literal}\", which Unicode "
                + "folds to several characters, is not supported");
    }

    /// <summary>The runtime knows all single-character foldings but that of the long s.</summary>
    private static int Fold(int codePoint) =>
        codePoint == 0x17F ? 's' : Rune.ToLowerInvariant(Rune.ToUpperInvariant(new Rune(codePoint))).Value;

    private static Dictionary<int, int[]> Build() => Enumerable.Range(0, 0x1F000)
        .Where(Rune.IsValid)
        .Where(codePoint => CharacterKind.IsLetter(codePoint) || CharacterKind.IsMark(codePoint) || CharacterKind.IsNumber(codePoint)
        || codePoint is >= 0x24B6 and <= 0x24E9)
        .GroupBy(Fold)
        .Where(group => group.Count() > 1)
        .ToDictionary(group => group.Key, group => group.ToArray());
}
