using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Builds pre-tokenizers from their descriptions: one line registers each kind.</summary>
internal static class PreTokenizers
{
    public static PreTokenizer Create(Part part) => part.Text("type") switch
    {
        "Sequence" => new SequencePreTokenizer([.. part.Sections("pretokenizers").Select(Create)]),
        "ByteLevel" => new ByteLevelSplit(part.Flag("add_prefix_space", true), part.Flag("use_regex", true)),
        "Split" => Split(part),
        "Metaspace" => Metaspace(part),
        "BertPreTokenizer" => new SequencePreTokenizer([
            new CharacterSplit(CharacterKind.IsWhiteSpace, SplitBehavior.Removed), new CharacterSplit(IsPunctuation, SplitBehavior.Isolated)]),
        "Whitespace" => new WordSplit(),
        "WhitespaceSplit" => new CharacterSplit(CharacterKind.IsWhiteSpace, SplitBehavior.Removed),
        "Digits" => new CharacterSplit(CharacterKind.IsNumeric, part.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
        "Punctuation" => new CharacterSplit(IsPunctuation, part.Choice("behavior", SplitBehavior.Isolated)),
        "CharDelimiterSplit" => Delimiter(part),
        "FixedLength" => new FixedLengthSplit(part.Count("length", 5, least: 1)),
        var type => throw part.Unsupported($"the pre-tokenizer {type}"),
    };

    /// <summary>ASCII's punctuation and symbols, and Unicode's punctuation.</summary>
    private static bool IsPunctuation(int codePoint) => codePoint < 128
        ? char.IsPunctuation((char)codePoint) || char.IsSymbol((char)codePoint)
        : UnicodeTables.Instance.Punctuation.Contains(codePoint);

    private static PreTokenizer Split(Part part)
    {
        var behavior = part.Choice("behavior", SplitBehavior.Removed);
        var invert = part.Flag("invert", false);
        var isPieces = (behavior == SplitBehavior.Isolated && !invert) || (behavior == SplitBehavior.Removed && invert);
        var pattern = TextPattern.Of(part);
        return isPieces && pattern.Expression is not null && Scanner.For(pattern.Expression) is { } scanner
            ? new ScannerSplit(scanner)
            : new ExpressionSplit(pattern.Compile(), behavior, invert);
    }

    private static MetaspaceSplit Metaspace(Part part)
    {
        var replacement = part.Character("replacement", "\u2581");
        var scheme = PrependSchemes.Of(part);
        return new MetaspaceSplit(replacement, scheme, part.Flag("split", true));
    }

    private static CharacterSplit Delimiter(Part part)
    {
        var delimiter = Rune.GetRuneAt(part.Character("delimiter", null), 0).Value;
        return new CharacterSplit(codePoint => codePoint == delimiter, SplitBehavior.Removed);
    }
}
