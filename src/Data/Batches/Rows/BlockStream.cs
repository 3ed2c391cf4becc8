namespace Trainer.Data;

/// <summary>Rows that several items share or are sorted by, such as documents packed into rows.</summary>
/// <remarks>Each epoch shuffles the items and divides them into blocks; the rows of a block follow from its items and a key alone. So
/// items can be put together well (by length, for example) while any block is reached at once and memory holds one block.</remarks>
/// <param name="name">What the items are of, for messages.</param>
/// <param name="items">How many there are, at least 1.</param>
/// <param name="seed">Chooses the sequence.</param>
internal abstract class BlockStream<T>(string name, long items, long seed) : RowStream<T>
{
    /// <summary>Many enough that little room is lost at the end of a block, few enough to plan one in a millisecond or two.</summary>
    internal const int ItemsInBlock = 4096;

    private long epoch;
    private long block = -1;
    private long index;
    private T[] rows = [];

    public override StreamPosition Position
    {
        get => new(epoch, index, Math.Max(0, block));
        set
        {
            if (value.Epoch < 0 || value.Block < 0 || value.Block >= Blocks || value.Sources is not null)
                throw NoSuchPlace(value, $"{name} has {Blocks} blocks an epoch");
            var planned = Plan(value.Epoch, value.Block);
            if (value.Index < 0 || value.Index > planned.Length)
                throw NoSuchPlace(value, $"the block has {planned.Length} rows");
            (epoch, block, index, rows) = (value.Epoch, value.Block, value.Index, planned);
        }
    }

    public override T Next()
    {
        while (index == rows.Length)
        {
            (epoch, block) = block + 1 < Blocks ? (epoch, block + 1) : (epoch + 1, 0);
            (rows, index) = (Plan(epoch, block), 0);
        }
        return rows[index++];
    }

    /// <summary>The rows of a block, in the order in which they are visited.</summary>
    /// <param name="items">The items of the block.</param>
    /// <param name="before">How many items were visited before it, in all epochs.</param>
    /// <param name="epochKey">The same for all blocks of an epoch.</param>
    /// <param name="blockKey">A key of this block's own.</param>
    protected abstract T[] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey);

    private long Blocks => (items + ItemsInBlock - 1) / ItemsInBlock;

    private T[] Plan(long epoch, long block)
    {
        var key = EpochKey(seed, epoch);
        var order = new KeyedPermutation(items, KeyedPermutation.Mix(key + 2));
        var first = block * ItemsInBlock;
        var chosen = new long[Math.Min(ItemsInBlock, items - first)];
        for (var i = 0; i < chosen.Length; i++)
            chosen[i] = order[first + i];
        return Plan(chosen, (UInt128)epoch * (ulong)items + (ulong)first, key, KeyedPermutation.Mix(key + 4 + (ulong)block * 0x9E3779B97F4A7C15));
    }

    /// <summary>Puts rows, or groups of them, in an order chosen by a key.</summary>
    protected static TAny[] Shuffle<TAny>(IReadOnlyList<TAny> rows, ulong key)
    {
        if (rows.Count == 0)
            return [];
        var order = new KeyedPermutation(rows.Count, key);
        return [.. Enumerable.Range(0, rows.Count).Select(index => rows[(int)order[index]])];
    }
}
