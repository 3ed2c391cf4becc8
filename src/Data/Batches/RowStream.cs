using Trainer.Configuration;

namespace Trainer.Data.Batches;

/// <summary>An endless sequence of rows, determined by seed and position, reshuffled each epoch, without replacement within it.</summary>
internal abstract class RowStream<T>
{
    /// <summary>The position of the next row; setting it resumes exactly there.</summary>
    public abstract StreamPosition Position { get; set; }

    public abstract T Next();

    protected static ulong EpochKey(long seed, long epoch) =>
        KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)epoch);

    protected static UserException NoSuchPlace(StreamPosition position, string what) => new(
        $"the position in the data ({position}) does not exist: {what}; the data or model.contextLength changed since it was saved");
}

/// <summary>Rows built from several items, such as documents packed into rows. Each epoch shuffles the items and divides them into blocks;
/// a block's rows depend only on its items and a key, so any block can be reached directly, and only one is held in memory.</summary>
internal abstract class BlockStream<T>(string name, long items, long seed) : RowStream<T>
{
    /// <summary>Large enough to waste little at block ends, small enough to plan in a millisecond or two.</summary>
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

    /// <summary>The rows of a block in visiting order. <paramref name="before"/> counts the items visited before it in all epochs;
    /// <paramref name="epochKey"/> is shared by the epoch's blocks.</summary>
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
        return Plan(chosen, (UInt128)epoch * (ulong)items + (ulong)first, key,
            KeyedPermutation.Mix(key + 4 + (ulong)block * 0x9E3779B97F4A7C15));
    }

    protected static TAny[] Shuffle<TAny>(IReadOnlyList<TAny> rows, ulong key)
    {
        if (rows.Count == 0)
            return [];
        var order = new KeyedPermutation(rows.Count, key);
        return [.. Enumerable.Range(0, rows.Count).Select(index => rows[(int)order[index]])];
    }
}
