using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;

namespace Trainer.Inference.Paging;

/// <summary>Gives sequences blocks of slots for the keys and values of their positions; sequences share blocks until one of them writes
/// (PagedAttention: Kwon et al. 2023, arXiv 2309.06180). Behind a window, blocks are free again.</summary>
internal sealed class BlockAllocator
{
    public const int BlockLength = 16; // positions, as in the paper

    private readonly int[] users; // of each block, how many tables have it
    private readonly Stack<int> free;
    private readonly KeyWindow? window;

    public BlockAllocator(int blocks, KeyWindow? window)
    {
        (users, this.window) = (new int[blocks], window);
        free = new(Enumerable.Range(0, blocks).Reverse()); // the first ones first, so that a text alone lies in one piece
    }

    public int Free => free.Count;

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
        if (needed > free.Count) return false;

        if (shared)
        {
            int own = Take();
            copy(table.Blocks[written], own);
            Drop(table, written);
            table.Blocks[written] = own;
        }
        while (table.Blocks.Count < Count(length)) table.Blocks.Add(IsKept(table.Blocks.Count) ? Take() : BlockTable.Freed);
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

    private bool IsShared(int block) => block >= 0 && users[block] > 1;

    private void Drop(BlockTable table, int index)
    {
        int block = table.Blocks[index];
        if (block < 0) return;
        table.Blocks[index] = BlockTable.Freed;
        if (--users[block] == 0) free.Push(block);
    }

    private int Take()
    {
        int block = free.Pop();
        users[block] = 1;
        return block;
    }
}

/// <summary>The blocks of a sequence, in order of position.</summary>
internal sealed class BlockTable
{
    public const int Freed = -1;

    public List<int> Blocks { get; } = [];

    /// <summary>Positions that there is room for.</summary>
    public int Length { get; set; }

    public bool Has(int position) => Blocks[position / BlockAllocator.BlockLength] >= 0;

    public int Slot(int position) =>
        Blocks[position / BlockAllocator.BlockLength] * BlockAllocator.BlockLength + position % BlockAllocator.BlockLength;
}
