using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Builds normalizers from their descriptions: one line registers each kind.</summary>
internal static class Normalizers
{
    public static Normalizer Create(Part part) => part.Text("type") switch
    {
        "Sequence" => Sequence([.. part.Sections("normalizers").Select(Create)]),
        "NFC" => new FunctionNormalizer(text => CanonicalForm.Of(text, compatible: false, composed: true)),
        "NFD" => new FunctionNormalizer(text => CanonicalForm.Of(text, compatible: false, composed: false)),
        "NFKC" => new FunctionNormalizer(text => CanonicalForm.Of(text, compatible: true, composed: true)),
        "NFKD" => new FunctionNormalizer(text => CanonicalForm.Of(text, compatible: true, composed: false)),
        "Lowercase" => FunctionNormalizer.OfCharacters(CharacterKind.AppendLower),
        "StripAccents" => FunctionNormalizer.OfCharacters(AppendWithoutAccents),
        "Strip" => Strip(part.Flag("strip_left", true), part.Flag("strip_right", true)),
        "Replace" => ReplaceNormalizer.Of(TextPattern.Of(part), part.Text("content")),
        "Prepend" => Prepend(part.Text("prepend")),
        "Nmt" => FunctionNormalizer.OfCharacters(AppendNmt),
        "BertNormalizer" => Bert(part),
        "ByteLevel" => new FunctionNormalizer(text => ByteLevelSplit.ToSymbols(text)),
        "Precompiled" => PrecompiledNormalizer.Of(part),
        var type => throw part.Unsupported($"the normalizer {type}"),
    };

    private static FunctionNormalizer Sequence(Normalizer[] parts) => new(text => parts.Aggregate(text, (current, part) => part.Apply(current)));

    private static FunctionNormalizer Prepend(string prefix) => new(text => text.Length == 0 ? text : prefix + text);

    private static FunctionNormalizer Strip(bool left, bool right) => (left, right) switch
    {
        (true, true) => new(text => text.Trim()),
        (true, false) => new(text => text.TrimStart()),
        (false, true) => new(text => text.TrimEnd()),
        _ => new(text => text),
    };

    private static BertNormalizer Bert(Part part)
    {
        var lowercase = part.Flag("lowercase", true);
        return new BertNormalizer(part.Flag("clean_text", true), part.Flag("handle_chinese_chars", true), part.OptionalFlag("strip_accents") ?? lowercase, lowercase);
    }

    private static void AppendWithoutAccents(StringBuilder result, Rune character)
    {
        if (character.Value < 0x300 || !UnicodeTables.Instance.CombiningMarks.Contains(character.Value))
            result.Append(character);
    }

    /// <summary>The cleaning that SentencePiece took from machine translation: controls away, odd spaces to spaces.</summary>
    private static void AppendNmt(StringBuilder result, Rune character)
    {
        var value = character.Value;
        if (value is (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F)
            return;
        var isSpace = value is '\t' or '\n' or '\f' or '\r' or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD;
        result.Append(isSpace ? new Rune(' ') : character);
    }
}
