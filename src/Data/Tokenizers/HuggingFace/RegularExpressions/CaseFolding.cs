using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Case-insensitive comparison of single characters, over all of Unicode: <c>s</c>, <c>S</c> and <c>ſ</c> are one.</summary>
internal static class CaseFolding
{
    private static readonly Lazy<Dictionary<int, int[]>> Variants = new(Build);

    /// <summary>Letters that fold to several characters; to fold them the whole neighbourhood would have to be looked at.</summary>
    private static readonly string[] Ligatures = ["ss", "st", "ff", "fi", "fl"];

    /// <summary>All characters that differ from this one by case at most, itself included.</summary>
    public static int[] Of(int codePoint) => Rune.IsValid(codePoint) && Variants.Value.TryGetValue(Fold(codePoint), out var variants) ? variants : [codePoint];

    /// <summary>The set with all case variants of its characters.</summary>
    public static CodePointSet Ignoring(Func<int, bool> contains) => new(codePoint => contains(codePoint) || Array.Exists(Of(codePoint), variant => contains(variant)));

    /// <summary>Refuses texts that Unicode folds to, or from, several characters at once.</summary>
    /// <exception cref="RegularExpressionException">The text has such a character or pair.</exception>
    public static void Check(string literal)
    {
        foreach (var ligature in Ligatures)
            if (literal.Contains(ligature, StringComparison.OrdinalIgnoreCase))
                throw new RegularExpressionException($"ignoring the case of \"{ligature}\", which is also one character in Unicode, is not supported");
        if (literal.EnumerateRunes().Any(character => character.Value is 0xDF or 0x130 or 0x149 or 0x1F0 or 0x390 or 0x3B0 or 0x587
            or (>= 0x1E96 and <= 0x1E9E) or (>= 0x1F50 and <= 0x1FFC) or (>= 0xFB00 and <= 0xFB17)))
            throw new RegularExpressionException($"ignoring the case of \"{literal}\", which Unicode folds to several characters, is not supported");
    }

    /// <summary>The runtime knows all foldings to one character but that of the long s.</summary>
    private static int Fold(int codePoint) => codePoint == 0x17F ? 's' : Rune.ToLowerInvariant(Rune.ToUpperInvariant(new Rune(codePoint))).Value;

    private static Dictionary<int, int[]> Build() => Enumerable.Range(0, 0x1F000)
        .Where(Rune.IsValid)
        .Where(codePoint => CharacterKind.IsLetter(codePoint) || CharacterKind.IsMark(codePoint) || CharacterKind.IsNumber(codePoint) || codePoint is >= 0x24B6 and <= 0x24E9)
        .GroupBy(Fold)
        .Where(group => group.Count() > 1)
        .ToDictionary(group => group.Key, group => group.ToArray());
}
