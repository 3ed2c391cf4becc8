using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Inference.Paging;

/// <summary>Gives sequences blocks of slots for the keys and values of their positions; sequences share blocks until one of them writes
/// (PagedAttention: Kwon et al. 2023, arXiv 2309.06180). Behind a window, blocks are free again.</summary>
internal sealed class BlockAllocator
{
    public const int BlockLength = 16; // positions, as in the paper

    private readonly int[] users; // of each block, how many tables have it
    private readonly KeyWindow? window;

    public BlockAllocator(int blocks, KeyWindow? window) => (users, this.window, Free) = (new int[blocks], window, blocks);

    /// <summary>Blocks that nobody has.</summary>
    public int Free { get; private set; }

    public int Blocks => users.Length;

    /// <summary>The most blocks that a sequence of <paramref name="capacity"/> positions has, when <paramref name="rows"/> of them are
    /// written at a time.</summary>
    public static int Most(KeyWindow? window, int capacity, int rows)
    {
        int all = Count(capacity);
        // A window may begin and end within a block.
        return window is { } seen ? (int)Math.Min(all, Count(seen.Sinks) + ((long)seen.Window + rows) / BlockLength + 2) : all;
    }

    /// <summary>Makes room for positions up to <paramref name="length"/> and frees what position <paramref name="from"/> and later ones do
    /// not see. False where blocks are lacking: nothing is taken then. <paramref name="copy"/> copies a block that the table shared and is
    /// about to write to.</summary>
    public bool TryAdvance(BlockTable table, int length, int from, Action<int, int> copy)
    {
        (int sinks, int first) = Kept(from);
        for (int index = sinks; index < Math.Min(first, table.Blocks.Count); index++) Drop(table, index);

        int written = table.Length / BlockLength; // the block that the next position falls into
        bool shared = length > table.Length && written < table.Blocks.Count && IsShared(table.Blocks[written]);
        int needed = shared ? 1 : 0;
        for (int index = table.Blocks.Count; index < Count(length); index++) needed += IsKept(index) ? 1 : 0;
        if (needed > Free) return false;

        if (shared)
        {
            int own = Take(after: table.Blocks[written]);
            copy(table.Blocks[written], own);
            Drop(table, written);
            table.Blocks[written] = own;
        }
        while (table.Blocks.Count < Count(length)) table.Blocks.Add(IsKept(table.Blocks.Count) ? Take(table.Last) : BlockTable.Freed);
        table.Length = Math.Max(table.Length, length);
        return true;

        bool IsKept(int index) => index < sinks || index >= first;
    }

    /// <summary>A table that shares the blocks of the first <paramref name="length"/> positions.</summary>
    public BlockTable Fork(BlockTable table, int length)
    {
        BlockTable fork = new() { Length = length };
        fork.Blocks.AddRange(table.Blocks.Take(Count(length)));
        foreach (int block in fork.Blocks)
            if (block >= 0) users[block]++;
        return fork;
    }

    public void Release(BlockTable table)
    {
        for (int index = 0; index < table.Blocks.Count; index++) Drop(table, index);
        table.Length = 0;
        table.Blocks.Clear();
    }

    /// <summary>Writes the slots of what a position sees, in order of position; returns the number of runs.</summary>
    public int Runs(BlockTable table, int position, Span<SlotRun> to)
    {
        if (window is not { } seen || position - seen.Window + 1 <= seen.Sinks) return AddRuns(table, 0, position + 1, to, 0);
        int count = AddRuns(table, 0, seen.Sinks, to, 0);
        return AddRuns(table, position - seen.Window + 1, position + 1, to, count);
    }

    private static int AddRuns(BlockTable table, int begin, int end, Span<SlotRun> to, int count)
    {
        for (int next; begin < end; begin = next)
        {
            next = Math.Min(end, (begin / BlockLength + 1) * BlockLength);
            int slot = table.Slot(begin);
            SlotRun last = count > 0 ? to[count - 1] : default;
            if (count > 0 && last.First + last.Count == slot) to[count - 1] = last with { Count = last.Count + next - begin };
            else to[count++] = new(slot, next - begin);
        }
        return count;
    }

    public static int Count(int positions) => (positions + BlockLength - 1) / BlockLength;

    // Blocks of sinks, and the first block of the window.
    private (int Sinks, int First) Kept(int from) =>
        window is { } seen ? (Count(seen.Sinks), Math.Max(0, from - seen.Window + 1) / BlockLength) : (0, 0);

    /// <summary>Whether nobody else has one of the table's blocks.</summary>
    public bool IsAlone(BlockTable table) => table.Blocks.Exists(block => block >= 0 && users[block] == 1);

    private bool IsShared(int block) => block >= 0 && users[block] > 1;

    private void Drop(BlockTable table, int index)
    {
        int block = table.Blocks[index];
        if (block < 0) return;
        table.Blocks[index] = BlockTable.Freed;
        if (--users[block] == 0) Free++;
    }

    // The next one in memory if it is free, as long runs are read faster; else from where the sequence has most room to grow, but another
    // one, which ends before, has room too.
    private int Take(int after)
    {
        int block = after + 1;
        if (after < 0 || block == users.Length || users[block] > 0)
        {
            (int first, int count) = LongestStretch();
            block = first == 0 ? 0 : first + count / 2;
        }
        users[block] = 1;
        Free--;
        return block;
    }

    // Of free blocks.
    private (int First, int Count) LongestStretch()
    {
        (int First, int Count) longest = default;
        for (int first = 0, end; first < users.Length; first = end + 1)
        {
            for (end = first; end < users.Length && users[end] == 0; end++) { }
            if (end - first > longest.Count) longest = (first, end - first);
        }
        return longest;
    }
}

/// <summary>The blocks of a sequence, in order of position.</summary>
internal sealed class BlockTable
{
    public const int Freed = -1;

    public List<int> Blocks { get; } = [];

    /// <summary>Positions that there is room for.</summary>
    public int Length { get; set; }

    /// <summary>The last block; <see cref="Freed"/> where there is none.</summary>
    public int Last => Blocks.Count > 0 ? Blocks[^1] : Freed;

    public bool Has(int position) => Blocks[position / BlockAllocator.BlockLength] >= 0;

    public int Slot(int position) =>
        Blocks[position / BlockAllocator.BlockLength] * BlockAllocator.BlockLength + position % BlockAllocator.BlockLength;
}
