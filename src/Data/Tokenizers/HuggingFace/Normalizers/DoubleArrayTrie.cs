namespace Trainer.Data.HuggingFace;

/// <summary>The double-array trie (darts-clone) in which SentencePiece keeps its character map.</summary>
internal sealed class DoubleArrayTrie(uint[] units)
{
    /// <summary>The value of the shortest key that is a prefix of the bytes, or −1.</summary>
    /// <remarks>SentencePiece itself takes the longest one; Hugging Face's library, followed here, the first that it meets.</remarks>
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
