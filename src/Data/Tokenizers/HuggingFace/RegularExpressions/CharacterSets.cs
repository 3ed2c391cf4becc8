using System.Collections.Concurrent;
using System.Globalization;

namespace Trainer.Data.HuggingFace;

/// <summary>The sets that regular expressions name.</summary>
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
        ("Cc", "Control", UnicodeCategory.Control), ("Cf", "Format", UnicodeCategory.Format), ("Co", "PrivateUse", UnicodeCategory.PrivateUse),
        ("Cn", "Unassigned", UnicodeCategory.OtherNotAssigned), ("Cs", "Surrogate", UnicodeCategory.Surrogate),
        ("Pc", "ConnectorPunctuation", UnicodeCategory.ConnectorPunctuation), ("Pd", "DashPunctuation", UnicodeCategory.DashPunctuation),
        ("Ps", "OpenPunctuation", UnicodeCategory.OpenPunctuation), ("Pe", "ClosePunctuation", UnicodeCategory.ClosePunctuation),
        ("Pi", "InitialPunctuation", UnicodeCategory.InitialQuotePunctuation), ("Pf", "FinalPunctuation", UnicodeCategory.FinalQuotePunctuation),
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

    /// <summary>The set of a general category by its short or long name, or null when there is none.</summary>
    public static CodePointSet? Property(string name)
    {
        var plain = name.Replace("_", "").Replace(" ", "").Replace("-", "");
        bool Same(string other) => plain.Equals(other, StringComparison.OrdinalIgnoreCase);
        if (Array.Find(Categories, entry => Same(entry.Short) || Same(entry.Long)) is { Short: not null } category)
            return Properties.GetOrAdd(category.Short, _ => new CodePointSet(codePoint => CharacterKind.Category(codePoint) == category.Category));
        if (Array.Find(Groups, entry => Same(entry.Short) || Same(entry.Long)) is not { Short: not null } group)
            return null;
        var members = Categories.Where(entry => entry.Short[0] == group.Short[0]).Select(entry => entry.Category).ToHashSet();
        return Properties.GetOrAdd(group.Short, _ => new CodePointSet(codePoint => members.Contains(CharacterKind.Category(codePoint))));
    }
}
