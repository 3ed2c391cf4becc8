// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a query, E width of a value, c tiles of a group, m
// queries of a tile, n keys of a tile.
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Tiles of one shape and one mask, as the loops read them.</summary>
internal unsafe struct TileGroup
{
    public long* Queries, Keys; // row indices of the queries, (c, m), and of the keys, (c, n)
    public long Count, QueriesOfTile, KeysOfTile;
    public float* Mask; // keys by queries, (n, m rounded up to blocks): 0 or −∞; null where all is visible
    public long MaskStride;
    public byte* Visibilities; // a Visibility for each block of queries and block of keys; null where all is visible

    public readonly long QueryBlocks => (QueriesOfTile + BlockSparseCall.Block - 1) / BlockSparseCall.Block;

    public readonly long KeyBlocks => (KeysOfTile + BlockSparseCall.Block - 1) / BlockSparseCall.Block;

    public readonly Visibility VisibilityOf(long queryBlock, long keyBlock) =>
        Visibilities is null ? Visibility.All : (Visibility)Visibilities[queryBlock * KeyBlocks + keyBlock];
}

/// <summary>How much of a block of scores is visible.</summary>
internal enum Visibility : byte
{
    None,
    Some,
    All,
}

/// <summary>Inputs and outputs of one call of block-sparse attention.</summary>
internal sealed unsafe class BlockSparseCall
{
    /// <summary>Queries, and keys, of a block of scores.</summary>
    public const int Block = 64;

    public HeadRows Query, Key, Value, Out, OutGradient;
    public float* Log; // (B, H, T): logarithms of the softmax's sums, 0 where no key is visible; null without a backward pass
    public float* QueryGradient, KeyGradient, ValueGradient; // float32 (B, T, H, D), (B, S, G, D) and (B, S, G, E)
    public long Batch, Heads, Groups, Queries, Keys;
    public int Width, ValueWidth;
    public float Scale, SoftCap;
    public TileGroup[] Tiles = [];
    public float* QueryDocuments, KeyDocuments; // document numbers, (B, T) and (B, S); null for one document
    public float* Bias; // the bias by distance, (H, L), and its gradient, (B, H, L); null for none
    public double* BiasGradient;
    public long BiasLength, LowestDistance;
    public long* QueryPositions, KeyPositions; // (T) and (S)

    /// <summary>A call without its outputs; tensors it makes belong to the current dispose scope.</summary>
    public static BlockSparseCall Create(
        Tensor query, Tensor key, Tensor value, IReadOnlyList<AttentionTiles> tiles, double scale, double softCap,
        (Tensor Queries, Tensor Keys)? documents, DistanceBias? bias)
    {
        Tensor? queryDocuments = documents?.Queries.to(ScalarType.Float32).contiguous();
        Tensor? keyDocuments = documents?.Keys.to(ScalarType.Float32).contiguous();
        BlockSparseCall call = new()
        {
            Query = HeadRows.Of(query), Key = HeadRows.Of(key), Value = HeadRows.Of(value),
            Batch = query.size(0), Heads = query.size(1), Groups = key.size(1), Queries = query.size(2), Keys = key.size(2),
            Width = (int)query.size(3), ValueWidth = (int)value.size(3), Scale = (float)scale, SoftCap = (float)softCap,
            Tiles = new TileGroup[tiles.Count],
            QueryDocuments = queryDocuments is null ? null : (float*)queryDocuments.DataPointer,
            KeyDocuments = keyDocuments is null ? null : (float*)keyDocuments.DataPointer,
        };
        for (int i = 0; i < tiles.Count; i++) call.Tiles[i] = GroupOf(tiles[i], call.Queries, call.Keys);
        if (bias is not null)
        {
            call.Bias = (float*)bias.Table.contiguous().DataPointer;
            (call.BiasLength, call.LowestDistance) = (bias.Table.size(1), bias.Lowest);
            call.QueryPositions = (long*)bias.QueryPositions.contiguous().DataPointer;
            call.KeyPositions = (long*)bias.KeyPositions.contiguous().DataPointer;
        }
        return call;
    }

    private static TileGroup GroupOf(AttentionTiles tiles, long queries, long keys)
    {
        TileGroup group = new()
        {
            Queries = Indices(tiles.Queries, queries), Keys = Indices(tiles.Keys, keys),
            Count = tiles.Queries.size(0), QueriesOfTile = tiles.Queries.size(1), KeysOfTile = tiles.Keys.size(1),
        };
        if (tiles.Mask is null) return group;
        Tensor mask = tiles.Mask.to(ScalarType.Float32).contiguous(); // (m, n)
        Tensor transposed = zeros([group.KeysOfTile, group.QueryBlocks * Block], ScalarType.Float32);
        Tensor visibilities = empty([group.QueryBlocks, group.KeyBlocks], ScalarType.Byte);
        transposed.narrow(1, 0, group.QueriesOfTile).copy_(mask.t());
        group.Mask = (float*)transposed.DataPointer;
        group.MaskStride = transposed.size(1);
        group.Visibilities = visibilities.DataPointer;
        float* numbers = (float*)mask.DataPointer;
        for (long row = 0; row < group.QueryBlocks; row++)
            for (long column = 0; column < group.KeyBlocks; column++)
                group.Visibilities[row * group.KeyBlocks + column] = (byte)VisibilityOf(group, numbers, row * Block, column * Block);
        return group;
    }

    private static Visibility VisibilityOf(in TileGroup group, float* mask, long row, long column)
    {
        int width = (int)Math.Min(Block, group.KeysOfTile - column);
        bool all = true, none = true;
        for (long i = row; i < Math.Min(row + Block, group.QueriesOfTile) && (all || none); i++)
        {
            ReadOnlySpan<float> numbers = new(mask + i * group.KeysOfTile + column, width);
            all = all && numbers.IndexOfAnyExcept(0f) < 0;
            none = none && numbers.IndexOfAnyExcept(float.NegativeInfinity) < 0;
        }
        return all ? Visibility.All : none ? Visibility.None : Visibility.Some;
    }

    private static long* Indices(Tensor rows, long length)
    {
        long* indices = (long*)rows.contiguous().DataPointer;
        for (long i = 0; i < rows.numel(); i++)
            if ((ulong)indices[i] >= (ulong)length) throw new TorchException($"tiles name row {indices[i]} of {length} rows");
        return indices;
    }

    public long LargestKeys => Tiles.Length == 0 ? 0 : Tiles.Max(group => group.KeysOfTile);

    /// <summary>Multiply-adds of one head.</summary>
    public long Work => Tiles.Sum(group => group.Count * group.QueriesOfTile * group.KeysOfTile) * (Width + ValueWidth);
}
