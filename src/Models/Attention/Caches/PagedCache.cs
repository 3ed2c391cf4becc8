// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head, n blocks of a sequence.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Remembers every token in blocks out of a pool (Kwon et al. 2023, arXiv 2309.06180): memory grows with the text, and sequences that go on
/// from one another share the blocks of their common beginning until they write into them.</summary>
/// <remarks>Beams and samples of one prompt so cost the prompt once. A step gathers the blocks for the kernel.</remarks>
internal sealed class PagedCache : KeyValueCache
{
    /// <summary>Tokens in a block, as in the paper.</summary>
    public const int BlockLength = 16;

    private readonly BlockTables tables;
    private Tensor first;
    private Tensor second;
    private int length;

    /// <param name="layout">What is remembered of a token.</param>
    /// <param name="batch">Sequences, B.</param>
    /// <param name="dtype">The type keys and values are computed in.</param>
    /// <param name="device">Where.</param>
    public PagedCache(CacheLayout layout, int batch, ScalarType dtype, Device device)
    {
        tables = new(batch);
        first = Pool(layout.FirstHeads, layout.FirstDim);
        second = Pool(layout.SecondHeads, layout.SecondDim);

        Tensor Pool(int heads, int dim) => Constants.Own(() => zeros(0, heads, BlockLength, dim, dtype: dtype, device: device)); // (blocks, G, 16, D)
    }

    public override long Bytes => first.numel() * first.element_size() + second.numel() * second.element_size();

    /// <summary>Blocks that some sequence has.</summary>
    public int BlocksInUse => tables.InUse;

    public override (Tensor First, Tensor Second, PositionSpan Positions) Remembered
    {
        get
        {
            Tensor all = tensor(tables.All).to(first.device); // (B·n)
            return (Gathered(first, all), Gathered(second, all), new(0, length));
        }
    }

    public override (Tensor First, Tensor Second, PositionSpan Positions) Append(Tensor newFirst, Tensor newSecond)
    {
        int added = (int)newFirst.size(2);
        for (int done = 0, count; done < added; done += count)
        {
            int place = length % BlockLength;
            count = Math.Min(BlockLength - place, added - done);
            MakeRoom(place);
            using Tensor blocks = Constants.Own(() => tensor(tables.Column(length / BlockLength)).to(first.device)); // (B)
            first.narrow(2, place, count).index_copy_(0, blocks, newFirst.narrow(2, done, count));
            second.narrow(2, place, count).index_copy_(0, blocks, newSecond.narrow(2, done, count));
            length += count;
        }
        return Remembered;
    }

    public override void Reorder(Tensor rows) => tables.Reorder([.. rows.to(CPU).data<long>().ToArray().Select(row => (int)row)]);

    public override void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }

    // A block that another sequence has too is copied before it is written into.
    private void MakeRoom(int place)
    {
        if (place == 0) tables.Grow();
        IReadOnlyList<(int From, int To)> copies = place == 0 ? [] : tables.Unshare(length / BlockLength);
        if (tables.Blocks > first.size(0))
        {
            // Half as much again, so that growing costs each block a few copies in all.
            int blocks = Math.Max(tables.Blocks, (int)(first.size(0) * 3 / 2));
            Enlarge(ref first, blocks);
            Enlarge(ref second, blocks);
        }
        foreach ((int from, int to) in copies)
        {
            first.select(0, to).copy_(first.select(0, from));
            second.select(0, to).copy_(second.select(0, from));
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
        pool = Constants.Own(() => cat([old, zeros(blocks - old.size(0), old.size(1), BlockLength, old.size(3), dtype: old.dtype, device: old.device)], 0));
        old.Dispose();
    }
}
