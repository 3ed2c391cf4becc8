namespace Trainer.Kernels;

/// <summary>Keys of a tile visible to some of the queries, [First, Last), and to all of them, [WholeFirst, WholeLast).</summary>
internal readonly record struct KeySegments(int First, int WholeFirst, int WholeLast, int Last);

/// <summary>Which keys are visible to which queries, tile by tile.</summary>
internal unsafe struct FlashMask
{
    /// <summary>Scratch memory, in floats.</summary>
    public const int Size = 10 * FlashCall.TileRows;

    /// <summary>The keys [Low, High) of the tile visible to each query, as floats to compare lanes with.</summary>
    public readonly float* Low, High;

    /// <summary>The queries [RowFrom, RowTo) that include all to which a key is visible.</summary>
    public readonly int* RowFrom, RowTo;

    // The keys [from, to) visible to each query, and [low, high) of the tile.
    private readonly long* from, to;
    private readonly int* low, high;
    private long lastFrom, firstTo;

    public FlashMask(float* memory)
    {
        const int Length = FlashCall.TileRows;
        Low = memory;
        High = memory + Length;
        RowFrom = (int*)(memory + 2 * Length);
        RowTo = (int*)(memory + 3 * Length);
        low = (int*)(memory + 4 * Length);
        high = (int*)(memory + 5 * Length);
        from = (long*)(memory + 6 * Length);
        to = (long*)(memory + 8 * Length);
    }

    public int Rows { get; private set; }

    public int Keys { get; private set; }

    /// <summary>Whether every key is visible to every query.</summary>
    public bool Whole { get; private set; }

    /// <summary>The keys [First, Last) that include all visible to any of the queries.</summary>
    public long First { get; private set; }

    public long Last { get; private set; }

    /// <summary>Moves to the queries [query, query + rows) of a sequence.</summary>
    public void MoveToQueries(in FlashCall call, long batch, long query, int rows)
    {
        int* document = call.Documents is null ? null : call.Documents + 2 * (batch * call.Queries + query);
        (Rows, First, Last, lastFrom, firstTo) = (rows, call.Keys, 0, 0, call.Keys);
        for (int m = 0; m < FlashCall.TileRows; m++)
        {
            long i = query + Math.Min(m, rows - 1); // lanes without a query repeat the last one
            long begin = Math.Max(0, i - call.Before + 1), end = Math.Min(call.Keys, i + call.After + 1);
            if (document is not null)
            {
                begin = Math.Max(begin, document[2 * (i - query)]);
                end = Math.Min(end, document[2 * (i - query) + 1]);
            }
            (from[m], to[m]) = (begin, end);
            (lastFrom, firstTo) = (Math.Max(lastFrom, begin), Math.Min(firstTo, end));
            if (begin < end) (First, Last) = (Math.Min(First, begin), Math.Max(Last, end));
        }
    }

    /// <summary>Moves to the keys [at, at + keys); false where none is visible to any query.</summary>
    public bool MoveToKeys(long at, int keys)
    {
        Keys = keys;
        Whole = lastFrom <= at && firstTo >= at + keys;
        if (Whole) return true;
        bool any = false;
        for (int m = 0; m < FlashCall.TileRows; m++)
        {
            (low[m], high[m]) = ((int)Math.Clamp(from[m] - at, 0, keys), (int)Math.Clamp(to[m] - at, 0, keys));
            (Low[m], High[m]) = (low[m], high[m]);
            any |= low[m] < high[m];
        }
        if (!any) return false;
        for (int n = 0, m = 0; n < keys; n++)
        {
            while (m < Rows && high[m] <= n) m++;
            RowFrom[n] = m;
        }
        for (int n = keys - 1, m = Rows; n >= 0; n--)
        {
            while (m > 0 && low[m - 1] > n) m--;
            RowTo[n] = m;
        }
        return true;
    }

    /// <summary>A range that includes all keys visible to some of the queries.</summary>
    public readonly (int From, int To) KeysOf(int row, int count)
    {
        if (Whole) return (0, Keys);
        (int first, int last) = (low[row], high[row]);
        for (int m = row + 1; m < row + count; m++) (first, last) = (Math.Min(first, low[m]), Math.Max(last, high[m]));
        return (first, last);
    }

    public readonly KeySegments SegmentsOf(int row, int count)
    {
        if (Whole) return new(0, 0, Keys, Keys);
        (int first, int wholeFirst, int wholeLast, int last) = (low[row], low[row], high[row], high[row]);
        for (int m = row + 1; m < row + count; m++)
        {
            (first, wholeFirst) = (Math.Min(first, low[m]), Math.Max(wholeFirst, low[m]));
            (wholeLast, last) = (Math.Min(wholeLast, high[m]), Math.Max(last, high[m]));
        }
        first = Math.Min(first, last);
        wholeFirst = Math.Clamp(wholeFirst, first, last);
        return new(first, wholeFirst, Math.Clamp(wholeLast, wholeFirst, last), last);
    }
}
