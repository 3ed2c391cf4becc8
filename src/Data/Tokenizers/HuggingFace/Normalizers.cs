using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Trainer.Data.Tokenizers.RegularExpressions;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

internal abstract class Normalizer
{
    public abstract string Apply(string text);
}

/// <summary>Builds normalizers from their JSON; add new kinds here.</summary>
internal static class NormalizerReader
{
    public static Normalizer Read(JsonSection section) => section.Text("type") switch
    {
        "Sequence" => Sequence([.. section.Sections("normalizers").Select(Read)]),
        "NFC" => new FunctionNormalizer(text => UnicodeNormalization.Normalize(text, compatible: false, composed: true)),
        "NFD" => new FunctionNormalizer(text => UnicodeNormalization.Normalize(text, compatible: false, composed: false)),
        "NFKC" => new FunctionNormalizer(text => UnicodeNormalization.Normalize(text, compatible: true, composed: true)),
        "NFKD" => new FunctionNormalizer(text => UnicodeNormalization.Normalize(text, compatible: true, composed: false)),
        "Lowercase" => FunctionNormalizer.OfCharacters(CharacterKind.AppendLower),
        "StripAccents" => FunctionNormalizer.OfCharacters(AppendWithoutAccents),
        "Strip" => Strip(section.Flag("strip_left", true), section.Flag("strip_right", true)),
        "Replace" => ReplaceNormalizer.Of(TextPattern.Of(section), section.Text("content")),
        "Prepend" => Prepend(section.Text("prepend")),
        "Nmt" => FunctionNormalizer.OfCharacters(AppendNmt),
        "BertNormalizer" => Bert(section),
        "ByteLevel" => new FunctionNormalizer(text => ByteLevelSplit.ToSymbols(text)),
        "Precompiled" => PrecompiledNormalizer.Of(section),
        var type => throw section.Unsupported($"the normalizer {type}"),
    };

    private static FunctionNormalizer Sequence(Normalizer[] parts) =>
        new(text => parts.Aggregate(text, (current, part) => part.Apply(current)));

    private static FunctionNormalizer Prepend(string prefix) => new(text => text.Length == 0 ? text : prefix + text);

    private static FunctionNormalizer Strip(bool left, bool right) => (left, right) switch
    {
        (true, true) => new(text => text.Trim()),
        (true, false) => new(text => text.TrimStart()),
        (false, true) => new(text => text.TrimEnd()),
        _ => new(text => text),
    };

    private static BertNormalizer Bert(JsonSection section)
    {
        var lowercase = section.Flag("lowercase", true);
        return new BertNormalizer(section.Flag("clean_text", true), section.Flag("handle_chinese_chars", true),
            section.OptionalFlag("strip_accents") ?? lowercase, lowercase);
    }

    private static void AppendWithoutAccents(StringBuilder result, Rune character)
    {
        if (character.Value < 0x300 || !UnicodeTables.Instance.CombiningMarks.Contains(character.Value))
            result.Append(character);
    }

    /// <summary>SentencePiece's cleaning from machine translation: drops controls, maps odd spaces to spaces.</summary>
    private static void AppendNmt(StringBuilder result, Rune character)
    {
        var value = character.Value;
        if (value is (>= 1 and <= 8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F)
            return;
        var isSpace = value is '\t' or '\n' or '\f' or '\r' or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF
            or 0xFFFD;
        result.Append(isSpace ? new Rune(' ') : character);
    }
}

internal sealed class FunctionNormalizer(Func<string, string> apply) : Normalizer
{
    public override string Apply(string text) => apply(text);

    public static FunctionNormalizer OfCharacters(Action<StringBuilder, Rune> append) => new(text =>
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text.EnumerateRunes())
            append(result, character);
        return result.ToString();
    });
}

internal sealed class ReplaceNormalizer(RegularExpression expression, string content) : Normalizer
{
    public static Normalizer Of(TextPattern pattern, string content) => pattern.Plain is { Length: > 0 } plain
        ? new FunctionNormalizer(text => text.Replace(plain, content, StringComparison.Ordinal))
        : new ReplaceNormalizer(pattern.Compile(), content);

    public override string Apply(string text)
    {
        StringBuilder? result = null;
        var written = 0;
        var matches = new Matches(expression, text);
        while (matches.MoveNext())
        {
            (result ??= new StringBuilder(text.Length)).Append(text, written, matches.Start - written).Append(content);
            written = matches.End;
        }
        return result is null ? text : result.Append(text, written, text.Length - written).ToString();
    }
}

/// <summary>BERT's optional cleaning: control characters, spaces around Chinese characters, accents, lower case.</summary>
internal sealed class BertNormalizer(bool cleanText, bool handleChineseCharacters, bool stripAccents, bool lowercase) : Normalizer
{
    public override string Apply(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text.EnumerateRunes())
            AppendCleaned(result, character);
        if (stripAccents)
            result = Filter(UnicodeNormalization.Normalize(result.ToString(), compatible: false, composed: false));
        if (!lowercase)
            return result.ToString();
        var lower = new StringBuilder(result.Length);
        foreach (var character in result.ToString().EnumerateRunes())
            CharacterKind.AppendLower(lower, character);
        return lower.ToString();
    }

    private void AppendCleaned(StringBuilder result, Rune character)
    {
        var value = character.Value;
        if (cleanText && (value is 0 or 0xFFFD || CharacterKind.IsBertControl(value)))
            return;
        if (cleanText && CharacterKind.IsWhiteSpace(value))
            result.Append(' ');
        else if (handleChineseCharacters && CharacterKind.IsChinese(value))
            result.Append(' ').Append(character).Append(' ');
        else
            result.Append(character);
    }

    private static StringBuilder Filter(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var character in text.EnumerateRunes())
            if (character.Value < 0x300 || !UnicodeTables.Instance.NonspacingMarks.Contains(character.Value))
                result.Append(character);
        return result;
    }
}

/// <summary>SentencePiece's character map, such as T5's nmt_nfkc: looks up short grapheme clusters whole, then single characters.</summary>
internal sealed class PrecompiledNormalizer : Normalizer
{
    /// <summary>Clusters of this many bytes or more are not looked up whole.</summary>
    private const int LongCluster = 6;

    private readonly DoubleArrayTrie trie;
    private readonly byte[] replacements;

    private PrecompiledNormalizer(DoubleArrayTrie trie, byte[] replacements) => (this.trie, this.replacements) = (trie, replacements);

    /// <summary><c>precompiled_charsmap</c> is base64 of the trie's size in bytes, the trie, and zero-terminated replacements.</summary>
    public static Normalizer Of(JsonSection section)
    {
        if (!section.Has("precompiled_charsmap") || section.Text("precompiled_charsmap").Length == 0)
            return new FunctionNormalizer(text => text);
        byte[] map;
        try
        {
            map = Convert.FromBase64String(section.Text("precompiled_charsmap"));
        }
        catch (FormatException)
        {
            throw section.Damaged("precompiled_charsmap is no base 64");
        }
        var size = map.Length < 8 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(map);
        if (size < 4 || size % 4 != 0 || size > map.Length - 4)
            throw section.Damaged("precompiled_charsmap holds no trie of the size that it says");
        var units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++)
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(map.AsSpan(4 + 4 * i));
        return new PrecompiledNormalizer(new DoubleArrayTrie(units), map[(4 + (int)size)..]);
    }

    public override string Apply(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        for (var position = 0; position < text.Length;)
        {
            var length = StringInfo.GetNextTextElementLength(text.AsSpan(position));
            AppendCluster(result, text.AsSpan(position, length));
            position += length;
        }
        return result.ToString();
    }

    private void AppendCluster(StringBuilder result, ReadOnlySpan<char> cluster)
    {
        if (Encoding.UTF8.GetByteCount(cluster) < LongCluster && AppendMapped(result, cluster))
            return;
        foreach (var character in cluster.EnumerateRunes())
        {
            var units = cluster[..character.Utf16SequenceLength];
            if (!AppendMapped(result, units))
                result.Append(units);
            cluster = cluster[units.Length..];
        }
    }

    private bool AppendMapped(StringBuilder result, ReadOnlySpan<char> text)
    {
        Span<byte> utf8 = stackalloc byte[LongCluster];
        var start = trie.ShortestPrefix(utf8[..Encoding.UTF8.GetBytes(text, utf8)]);
        if (start < 0 || start >= replacements.Length)
            return false;
        var replacement = replacements.AsSpan(start);
        var end = replacement.IndexOf((byte)0);
        result.Append(Encoding.UTF8.GetString(end < 0 ? replacement : replacement[..end]));
        return true;
    }
}

internal sealed class DoubleArrayTrie(uint[] units)
{
    /// <summary>The value of the shortest key that is a prefix, or −1, as in Hugging Face's library (SentencePiece: the longest).</summary>
    public int ShortestPrefix(ReadOnlySpan<byte> key)
    {
        var node = Offset(units[0]);
        foreach (var label in key)
        {
            if (label == 0)
                return -1;
            node ^= label;
            if (node >= units.Length || (units[node] & 0x8000_00FF) != label)
                return -1;
            var unit = units[node];
            node ^= Offset(unit);
            if ((unit & 0x100) != 0)
                return node < units.Length ? (int)(units[node] & 0x7FFF_FFFF) : -1;
        }
        return -1;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);
}
