// Shapes: B batch, G heads of a cached tensor, T new positions, S cached and new positions, D width of a head, n blocks of a sequence.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Caches tokens in blocks, which sequences share until they write (PagedAttention: Kwon et al. 2023, arXiv 2309.06180).</summary>
/// <remarks>Beams and samples pay for their prompt once. A step gathers the blocks for the kernel.</remarks>
internal sealed class PagedCache : KeyValueCache
{
    public const int BlockLength = 16; // tokens, as in the paper

    private readonly BlockTables tables;
    private Tensor keys;
    private Tensor values;
    private int length;

    public PagedCache(CacheLayout layout, int batch, ScalarType dtype, Device device)
    {
        tables = new(batch);
        keys = Pool(layout.KeyHeads, layout.KeyDim);
        values = Pool(layout.ValueHeads, layout.ValueDim);

        // (blocks, G, 16, D)
        Tensor Pool(int heads, int dim) => Constants.Own(() => zeros(0, heads, BlockLength, dim, dtype: dtype, device: device));
    }

    public override long Bytes => keys.numel() * keys.element_size() + values.numel() * values.element_size();

    public int BlocksInUse => tables.InUse;

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Contents
    {
        get
        {
            Tensor all = tensor(tables.All).to(keys.device); // (B·n)
            return (Gathered(keys, all), Gathered(values, all), new(0, length));
        }
    }

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Append(Tensor key, Tensor value)
    {
        int added = (int)key.size(2);
        for (int done = 0, count; done < added; done += count)
        {
            int place = length % BlockLength;
            count = Math.Min(BlockLength - place, added - done);
            MakeRoom(place);
            using Tensor blocks = Constants.Own(() => tensor(tables.Column(length / BlockLength)).to(keys.device)); // (B)
            keys.narrow(2, place, count).index_copy_(0, blocks, key.narrow(2, done, count));
            values.narrow(2, place, count).index_copy_(0, blocks, value.narrow(2, done, count));
            length += count;
        }
        return Contents;
    }

    public override void Reorder(Tensor rows) => tables.Reorder([.. rows.to(CPU).data<long>().ToArray().Select(row => (int)row)]);

    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }

    // A shared block is copied before it is written to.
    private void MakeRoom(int place)
    {
        if (place == 0) tables.Grow();
        IReadOnlyList<(int From, int To)> copies = place == 0 ? [] : tables.Unshare(length / BlockLength);
        if (tables.Blocks > keys.size(0))
        {
            // Grows by half, so that each block is copied a few times in all.
            int blocks = Math.Max(tables.Blocks, (int)(keys.size(0) * 3 / 2));
            Enlarge(ref keys, blocks);
            Enlarge(ref values, blocks);
        }
        foreach ((int from, int to) in copies)
        {
            keys.select(0, to).copy_(keys.select(0, from));
            values.select(0, to).copy_(values.select(0, from));
        }
    }

    private Tensor Gathered(Tensor pool, Tensor blocks) => pool.index_select(0, blocks) // (B·n, G, 16, D)
        .view(tables.Sequences, tables.BlocksEach, pool.size(1), BlockLength, pool.size(3))
        .transpose(1, 2) // (B, G, n, 16, D)
        .flatten(2, 3)
        .narrow(2, 0, length); // (B, G, S, D)

    private static void Enlarge(ref Tensor pool, int blocks)
    {
        Tensor old = pool;
        pool = Constants.Own(
            () => cat([old, zeros(blocks - old.size(0), old.size(1), BlockLength, old.size(3), dtype: old.dtype, device: old.device)], 0));
        old.Dispose();
    }
}

/// <summary>Which blocks hold each sequence, all equally long, and how many sequences share each block.</summary>
internal sealed class BlockTables
{
    private readonly List<int> users = []; // of each block, how many sequences have it
    private readonly Stack<int> free = [];
    private List<int>[] tables;

    public BlockTables(int sequences) => tables = [.. Enumerable.Range(0, sequences).Select(_ => new List<int>())];

    public int Sequences => tables.Length;

    public int BlocksEach => tables[0].Count;

    public int Blocks => users.Count;

    public int InUse => users.Count - free.Count;

    public long[] All => [.. tables.SelectMany(table => table).Select(block => (long)block)];

    public long[] Column(int index) => [.. tables.Select(table => (long)table[index])];

    public void Grow()
    {
        foreach (List<int> table in tables) table.Add(Take());
    }

    /// <summary>Gives each sequence its own block at an index; returns the blocks to copy.</summary>
    public IReadOnlyList<(int From, int To)> Unshare(int index)
    {
        List<(int From, int To)> copies = [];
        foreach (List<int> table in tables)
        {
            int block = table[index];
            if (users[block] == 1) continue;
            users[block]--;
            table[index] = Take();
            copies.Add((block, table[index]));
        }
        return copies;
    }

    /// <summary>Lets each new sequence share the blocks of the one it continues, and frees unused blocks.</summary>
    public void Reorder(IReadOnlyList<int> rows)
    {
        List<int>[] next = [.. rows.Select(row => new List<int>(tables[row]))];
        foreach (int block in next.SelectMany(table => table)) users[block]++;
        foreach (int block in tables.SelectMany(table => table))
        {
            if (--users[block] == 0) free.Push(block);
        }
        tables = next;
    }

    private int Take()
    {
        if (free.TryPop(out int block))
        {
            users[block] = 1;
            return block;
        }
        users.Add(1);
        return users.Count - 1;
    }
}
