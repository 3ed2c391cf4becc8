using System.Runtime.InteropServices;
using Trainer.Kernels;

namespace Trainer.Inference.Paging;

/// <summary>Where the rows of a pass store their keys and values, and what they see, in each kind of layer.</summary>
internal sealed unsafe class PagedRows : IDisposable
{
    private readonly PagedKeyValues memory;
    private readonly int[] positions; // of each row
    private readonly int[,] slots, counts; // of each kind of layer and row
    private readonly SlotRun* runs; // (kinds, rows, most)
    private readonly int most;

    public PagedRows(PagedKeyValues memory, int rows, int capacity)
    {
        (this.memory, positions) = (memory, new int[rows]);
        (slots, counts) = (new int[memory.Kinds, rows], new int[memory.Kinds, rows]);
        most = BlockAllocator.Count(capacity) + 2; // sinks and windows may begin within a block
        runs = (SlotRun*)NativeMemory.Alloc((nuint)(memory.Kinds * rows * most), (nuint)sizeof(SlotRun));
    }

    /// <summary>Takes a position of a sequence, for which there is room, as a row.</summary>
    public void Locate(int row, PagedSequence sequence, int position)
    {
        positions[row] = position;
        for (int kind = 0; kind < memory.Kinds; kind++)
        {
            slots[kind, row] = sequence.Tables[kind].Slot(position);
            counts[kind, row] = memory.Allocator(kind).Runs(sequence.Tables[kind], position, new(At(kind, row), most));
        }
    }

    public int Position(int row) => positions[row];

    /// <summary>The last position of the first <paramref name="count"/> rows.</summary>
    public int Last(int count)
    {
        int last = 0;
        for (int row = 0; row < count; row++) last = Math.Max(last, positions[row]);
        return last;
    }

    public int Slot(int kind, int row) => slots[kind, row];

    /// <summary>What a row sees, in order of position.</summary>
    public SlotRun* Runs(int kind, int row, out int count)
    {
        count = counts[kind, row];
        return At(kind, row);
    }

    public void Dispose() => NativeMemory.Free(runs);

    private SlotRun* At(int kind, int row) => runs + (long)(kind * positions.Length + row) * most;
}
