namespace Trainer.Data.HuggingFace;

/// <summary>Merges the symbols of one piece: always the pair of lowest rank, of equal ones the leftmost (Sennrich 2016).</summary>
internal sealed class Merger(MergeTable table)
{
    /// <summary>Up to here looking at all pairs each time is faster than a queue.</summary>
    private const int ShortPiece = 96;

    private int[] ranks = new int[ShortPiece];
    private int[] merged = new int[ShortPiece];
    private int[] previous = [];
    private int[] next = [];
    private readonly PriorityQueue<int, (int Rank, int Position)> queue = new();

    /// <summary>Merges in place.</summary>
    /// <returns>The number of tokens left, at the front.</returns>
    public int Merge(Span<int> symbols) => symbols.Length switch
    {
        < 2 => symbols.Length,
        <= ShortPiece => MergeShort(symbols),
        _ => MergeLong(symbols),
    };

    private int MergeShort(Span<int> symbols)
    {
        var count = symbols.Length;
        for (var i = 0; i + 1 < count; i++)
            ranks[i] = table.Rank(symbols[i], symbols[i + 1], out merged[i]);
        while (count > 1)
        {
            var (best, rank) = (-1, MergeTable.None);
            for (var i = 0; i + 1 < count; i++)
                if (ranks[i] < rank)
                    (best, rank) = (i, ranks[i]);
            if (best < 0)
                break;
            symbols[best] = merged[best];
            count--;
            symbols[(best + 2)..(count + 1)].CopyTo(symbols[(best + 1)..]);
            Array.Copy(ranks, best + 2, ranks, best + 1, Math.Max(0, count - 2 - best));
            Array.Copy(merged, best + 2, merged, best + 1, Math.Max(0, count - 2 - best));
            if (best > 0)
                ranks[best - 1] = table.Rank(symbols[best - 1], symbols[best], out merged[best - 1]);
            if (best + 1 < count)
                ranks[best] = table.Rank(symbols[best], symbols[best + 1], out merged[best]);
        }
        return count;
    }

    /// <summary>The same with a queue of pairs over a linked list, for pieces as long as a text.</summary>
    private int MergeLong(Span<int> symbols)
    {
        var count = symbols.Length;
        if (previous.Length < count)
            (previous, next, merged) = (new int[count], new int[count], new int[count]);
        if (ranks.Length < count)
            ranks = new int[count];
        queue.Clear();
        for (var i = 0; i < count; i++)
            (previous[i], next[i]) = (i - 1, i + 1 < count ? i + 1 : -1);
        for (var i = 0; i < count; i++)
            Offer(symbols, i);
        while (queue.TryDequeue(out var left, out var priority))
            if (ranks[left] == priority.Rank)   // else the pair has changed since
                MergeAt(symbols, left);
        var written = 0;
        for (var i = 0; i >= 0; i = next[i])
            symbols[written++] = symbols[i];
        return written;
    }

    private void MergeAt(Span<int> symbols, int left)
    {
        var right = next[left];
        symbols[left] = merged[left];
        ranks[right] = MergeTable.None;
        next[left] = next[right];
        if (next[left] >= 0)
            previous[next[left]] = left;
        Offer(symbols, left);
        if (previous[left] >= 0)
            Offer(symbols, previous[left]);
    }

    private void Offer(Span<int> symbols, int left)
    {
        ranks[left] = next[left] < 0 ? MergeTable.None : table.Rank(symbols[left], symbols[next[left]], out merged[left]);
        if (ranks[left] != MergeTable.None)
            queue.Enqueue(left, (ranks[left], left));
    }
}
