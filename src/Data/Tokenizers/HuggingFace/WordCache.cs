using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>Caches the tokens of recent pieces, bounded; starts over when full.</summary>
internal sealed class WordCache
{
    /// <summary>Longer pieces seldom repeat.</summary>
    public const int LongestPiece = 64;

    private const int MaxSlots = 1 << 17, MaxKeyUnits = 1 << 20, MaxIds = 1 << 20;

    private Entry[] entries = new Entry[1 << 8];
    private char[] keys = new char[1 << 10];
    private int[] ids = new int[1 << 10];
    private int count, usedKeys, usedIds;

    public bool TryAppend(ReadOnlySpan<char> piece, uint hash, IdBuffer output)
    {
        var mask = (uint)entries.Length - 1;
        for (var slot = hash & mask; ; slot = (slot + 1) & mask)
        {
            ref var entry = ref entries[slot];
            if (entry.KeyLength == 0)
                return false;
            if (entry.Hash != hash || entry.KeyLength != piece.Length || !piece.SequenceEqual(keys.AsSpan(entry.Key, piece.Length)))
                continue;
            if (entry.Count == 1)
                output.Add(ids[entry.Ids]);
            else
                output.Add(ids.AsSpan(entry.Ids, entry.Count));
            return true;
        }
    }

    public void Add(ReadOnlySpan<char> piece, uint hash, ReadOnlySpan<int> tokens)
    {
        if (tokens.Length > ushort.MaxValue)
            return;
        if (count == MaxSlots / 2 || usedKeys + piece.Length > MaxKeyUnits || usedIds + tokens.Length > MaxIds)
            Clear();
        Grow(piece.Length, tokens.Length);
        Place(new Entry(hash, usedKeys, (ushort)piece.Length, (ushort)tokens.Length, usedIds));
        piece.CopyTo(keys.AsSpan(usedKeys));
        tokens.CopyTo(ids.AsSpan(usedIds));
        usedKeys += piece.Length;
        usedIds += tokens.Length;
        count++;
    }

    /// <summary>Eight bytes at a time, multiplied and folded.</summary>
    public static uint Hash(ReadOnlySpan<char> piece)
    {
        const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;
        var bytes = MemoryMarshal.AsBytes(piece);
        var hash = (ulong)bytes.Length;
        ref var start = ref MemoryMarshal.GetReference(bytes);
        var position = 0;
        for (; position + 8 <= bytes.Length; position += 8)
            hash = Mix(hash ^ Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, position)));
        for (; position < bytes.Length; position += 2)
            hash = (hash << 16) ^ (hash >> 48) ^ Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref start, position));
        return (uint)(Mix(hash) >> 32);

        static ulong Mix(ulong value)
        {
            value *= Multiplier;
            return value ^ (value >> 29);
        }
    }

    private void Place(Entry entry)
    {
        var mask = (uint)entries.Length - 1;
        var slot = entry.Hash & mask;
        while (entries[slot].KeyLength != 0)
            slot = (slot + 1) & mask;
        entries[slot] = entry;
    }

    private void Grow(int keyUnits, int tokens)
    {
        while (usedKeys + keyUnits > keys.Length)
            Array.Resize(ref keys, keys.Length * 2);
        while (usedIds + tokens > ids.Length)
            Array.Resize(ref ids, ids.Length * 2);
        if (2 * (count + 1) <= entries.Length)
            return;
        var old = entries;
        entries = new Entry[old.Length * 2];
        foreach (var entry in old)
            if (entry.KeyLength != 0)
                Place(entry);
    }

    private void Clear()
    {
        Array.Clear(entries);
        (count, usedKeys, usedIds) = (0, 0, 0);
    }

    private readonly record struct Entry(uint Hash, int Key, ushort KeyLength, ushort Count, int Ids);
}

internal sealed class IdBuffer
{
    private int[] ids = new int[1024];

    public int Count { get; private set; }

    public ReadOnlySpan<int> Written => ids.AsSpan(0, Count);

    public void Add(int id)
    {
        if (Count == ids.Length)
            Array.Resize(ref ids, Count * 2);
        ids[Count++] = id;
    }

    public void Add(ReadOnlySpan<int> more)
    {
        more.CopyTo(Reserve(more.Length));
        Count += more.Length;
    }

    /// <summary>Space for more ids; <see cref="Advance"/> then counts them.</summary>
    public Span<int> Reserve(int count)
    {
        if (Count + count > ids.Length)
            Array.Resize(ref ids, Math.Max(Count + count, ids.Length * 2));
        return ids.AsSpan(Count, count);
    }

    public void Advance(int count) => Count += count;

    public void Clear() => Count = 0;

    public void MoveTo(IBufferWriter<int> output)
    {
        if (Count > 0)
            output.Write(Written);
        Count = 0;
    }
}
