using System.Text;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

/// <summary>Random texts of everything that pre-tokenizers and normalizers distinguish.</summary>
internal static class RandomTexts
{
    private static readonly string[] Words =
    [
        "the", "The", "HTML", "don't", "WE'LL", "it'S", "'ve", "don'\u017F", "naïve", "co\u0301te\u0301", "İstanbul", "ﬁne", "ß", "Ǆ",
        "straße",
        "слово", "λόγος", "ΣΟΦΟΣ", "中文字", "かな", "カナ", "한국어", "\u1112\u1161\u11ab", "العربية", "हिन्दी", "ไทย", "𐐀𐐁𐐨", "𝔘𝔫𝔦", "𠀀𠀁", "𞤀𞤢",
        "👍🏽", "👩‍👩‍👧", "🇩🇪", "<s>", "</s>", "<|endoftext|>", "[MASK]", "<unk>", "▁", "Ġ", "x\u0327\u0301",
    ];

    private static readonly string[] Spaces = [" ", "  ", "    ", "\n", "\r\n", "\n\n  ", "\t", "\u00A0", "\u3000", "\u2028", "\u0085",
        " \n ", "\u200B"];

    private static readonly string[] Signs = [".", ",", "!?", "...", "'", "''", "-", "--", "/*", "//\n", "(", "$", "€", "№", "²", "½", "٣",
        "Ⅻ", "𝟘", "_", "#", "@", "^^"];

    /// <summary>Deterministic for a seed.</summary>
    public static string[] Make(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => Text(random))];
    }

    private static string Text(Random random)
    {
        var text = new StringBuilder();
        for (var parts = random.Next(1, 16); parts > 0; parts--)
            text.Append(random.Next(10) switch
            {
                < 3 => Words[random.Next(Words.Length)],
                < 5 => Spaces[random.Next(Spaces.Length)],
                5 => Signs[random.Next(Signs.Length)],
                6 => random.NextInt64(1L << random.Next(1, 40)).ToString(System.Globalization.CultureInfo.InvariantCulture),
                7 => new string((char)random.Next('A', 'z' + 1), random.Next(1, 9)),
                8 => Characters(random, 0x1, 0x3000),
                _ => Characters(random, 0x1, 0x110000),
            });
        return text.ToString();
    }

    private static string Characters(Random random, int from, int to)
    {
        var text = new StringBuilder();
        for (var count = random.Next(1, 5); count > 0; count--)
            text.Append(Rune.TryCreate(random.Next(from, to), out var character) ? character.ToString() : "é");
        return text.ToString();
    }
}
