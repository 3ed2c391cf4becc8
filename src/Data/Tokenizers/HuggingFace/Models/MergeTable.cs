namespace Trainer.Data.HuggingFace;

/// <summary>Which pairs of tokens merge, in which order of preference, into what: open addressing over pairs of ids.</summary>
internal sealed class MergeTable
{
    /// <summary>The rank of pairs that do not merge.</summary>
    public const int None = int.MaxValue;

    private readonly Entry[] entries;
    private readonly int mask;

    /// <summary>Makes the table of merges in order of rank; of equal pairs the last counts, as in Hugging Face's library.</summary>
    public MergeTable(IReadOnlyList<(int Left, int Right, int Merged)> merges)
    {
        entries = new Entry[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, merges.Count * 3))];
        mask = entries.Length - 1;
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var key = Key(merges[rank].Left, merges[rank].Right);
            var slot = Slot(key);
            while (entries[slot].Key != 0 && entries[slot].Key != key)
                slot = (slot + 1) & mask;
            entries[slot] = new Entry(key, rank, merges[rank].Merged);
        }
    }

    /// <summary>The rank of a pair, lowest first, or <see cref="None"/>; and the token it merges into.</summary>
    public int Rank(int left, int right, out int merged)
    {
        var key = Key(left, right);
        for (var slot = Slot(key); ; slot = (slot + 1) & mask)
        {
            ref readonly var entry = ref entries[slot];
            if (entry.Key == key)
            {
                merged = entry.Merged;
                return entry.Rank;
            }
            if (entry.Key == 0)
            {
                merged = -1;
                return None;
            }
        }
    }

    /// <summary>Never 0, which marks a free slot.</summary>
    private static ulong Key(int left, int right) => ((ulong)(uint)(left + 1) << 32) | (uint)right;

    private int Slot(ulong key) => (int)((key * 0x9E37_79B9_7F4A_7C15) >> 33) & mask;

    private readonly record struct Entry(ulong Key, int Rank, int Merged);
}
