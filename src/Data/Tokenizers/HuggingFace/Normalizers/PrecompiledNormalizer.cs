using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>SentencePiece's character map, such as T5's nmt_nfkc: short grapheme clusters as a whole, else character by character.</summary>
internal sealed class PrecompiledNormalizer : Normalizer
{
    /// <summary>Clusters of this many bytes and more are not looked up as a whole.</summary>
    private const int LongCluster = 6;

    private readonly DoubleArrayTrie trie;
    private readonly byte[] replacements;

    private PrecompiledNormalizer(DoubleArrayTrie trie, byte[] replacements) => (this.trie, this.replacements) = (trie, replacements);

    /// <summary>Reads <c>precompiled_charsmap</c>: base 64 of the trie's size in bytes, the trie, and the replacements, each ended by a zero.</summary>
    public static Normalizer Of(Part part)
    {
        if (!part.Has("precompiled_charsmap") || part.Text("precompiled_charsmap").Length == 0)
            return new FunctionNormalizer(text => text);
        byte[] map;
        try
        {
            map = Convert.FromBase64String(part.Text("precompiled_charsmap"));
        }
        catch (FormatException)
        {
            throw part.Damaged("precompiled_charsmap is no base 64");
        }
        var size = map.Length < 8 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(map);
        if (size < 4 || size % 4 != 0 || size > map.Length - 4)
            throw part.Damaged("precompiled_charsmap holds no trie of the size that it says");
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
