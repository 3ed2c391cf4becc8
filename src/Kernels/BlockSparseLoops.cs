// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a query, E width of a value, c tiles of a group, m
// queries of a tile, n keys of a tile.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Tiles of one shape and one mask, as loops read them.</summary>
internal unsafe struct TileGroup
{
    /// <summary>Rows of the queries, (c, m), and of the keys, (c, n).</summary>
    public long* Queries, Keys;

    public long Count, QueriesOfTile, KeysOfTile;

    /// <summary>Keys by queries, (n, m rounded up to blocks): 0 or −∞; null where all is visible.</summary>
    public float* Mask;

    public long MaskStride;

    /// <summary>What each block of queries sees of each block of keys, a <see cref="Sight"/>; null where all is visible.</summary>
    public byte* Sights;

    public readonly long QueryBlocks => (QueriesOfTile + TileCall.Block - 1) / TileCall.Block;

    public readonly long KeyBlocks => (KeysOfTile + TileCall.Block - 1) / TileCall.Block;

    public readonly Sight SightOf(long queryBlock, long keyBlock) =>
        Sights is null ? Sight.All : (Sight)Sights[queryBlock * KeyBlocks + keyBlock];
}

/// <summary>How much of a block of scores a mask leaves.</summary>
internal enum Sight : byte
{
    None,
    Some,
    All,
}

/// <summary>One call of block-sparse attention: what it reads and writes.</summary>
internal sealed unsafe class TileCall
{
    /// <summary>Queries, and keys, of a block of scores.</summary>
    public const int Block = 64;

    public HeadRows Query, Key, Value, Out, OutGradient;

    /// <summary>(B, H, T): the logarithms of the sums of the softmax, 0 where nothing is seen; null where no backward pass needs
    /// them.</summary>
    public float* Log;

    /// <summary>Gradients, float32, (B, T, H, D), (B, S, G, D) and (B, S, G, E).</summary>
    public float* QueryGradient, KeyGradient, ValueGradient;

    public long Batch, Heads, Groups, Queries, Keys;
    public int Width, ValueWidth;
    public float Scale, SoftCap;
    public TileGroup[] Tiles = [];

    /// <summary>Numbers of the documents, (B, T) and (B, S); null for one document.</summary>
    public float* QueryDocuments, KeyDocuments;

    /// <summary>What is added by distance, (H, L), and its gradient, (B, H, L); null for none.</summary>
    public float* Bias;

    public double* BiasGradient;
    public long BiasLength, LowestDistance;

    /// <summary>(T) and (S).</summary>
    public long* QueryPositions, KeyPositions;

    /// <summary>The call, without what it writes. The tensors that it makes belong to the dispose scope at hand.</summary>
    public static TileCall Create(
        Tensor query, Tensor key, Tensor value, IReadOnlyList<AttentionTiles> tiles, double scale, double softCap,
            (Tensor Queries, Tensor Keys)? documents, DistanceBias? bias)
    {
        (Tensor Queries, Tensor Keys)? ofDocuments = documents is { } both
            ? (both.Queries.to(ScalarType.Float32).contiguous(), both.Keys.to(ScalarType.Float32).contiguous()) : null;
        TileCall call = new()
        {
            Query = RowsOf(query), Key = RowsOf(key), Value = RowsOf(value),
            Batch = query.size(0), Heads = query.size(1), Groups = key.size(1), Queries = query.size(2), Keys = key.size(2),
            Width = (int)query.size(3), ValueWidth = (int)value.size(3), Scale = (float)scale, SoftCap = (float)softCap,
            Tiles = new TileGroup[tiles.Count],
            QueryDocuments = ofDocuments is null ? null : (float*)ofDocuments.Value.Queries.DataPointer,
            KeyDocuments = ofDocuments is null ? null : (float*)ofDocuments.Value.Keys.DataPointer,
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

    /// <summary>The rows of a (B, N, T, D) tensor whose last dimension lies side by side.</summary>
    public static HeadRows RowsOf(Tensor heads) =>
        new(heads.DataPointer, heads.stride(0), heads.stride(1), heads.stride(2), heads.dtype == ScalarType.BFloat16);

    private static TileGroup GroupOf(AttentionTiles tiles, long queries, long keys)
    {
        TileGroup group = new()
        {
            Queries = Indices(tiles.Queries, queries), Keys = Indices(tiles.Keys, keys),
            Count = tiles.Queries.size(0), QueriesOfTile = tiles.Queries.size(1), KeysOfTile = tiles.Keys.size(1),
        };
        if (tiles.Mask is null) return group;
        Tensor mask = tiles.Mask.to(ScalarType.Float32).contiguous(); // (m, n)
        Tensor turned = zeros([group.KeysOfTile, group.QueryBlocks * Block], ScalarType.Float32),
            sights = empty([group.QueryBlocks, group.KeyBlocks], ScalarType.Byte);
        turned.narrow(1, 0, group.QueriesOfTile).copy_(mask.t());
        group.Mask = (float*)turned.DataPointer;
        group.MaskStride = turned.size(1);
        group.Sights = sights.DataPointer;
        float* numbers = (float*)mask.DataPointer;
        for (long row = 0; row < group.QueryBlocks; row++)
            for (long column = 0; column < group.KeyBlocks; column++)
                group.Sights[row * group.KeyBlocks + column] = (byte)SightOf(group, numbers, row * Block, column * Block);
        return group;
    }

    private static Sight SightOf(in TileGroup group, float* mask, long row, long column)
    {
        int width = (int)Math.Min(Block, group.KeysOfTile - column);
        bool all = true, none = true;
        for (long i = row; i < Math.Min(row + Block, group.QueriesOfTile) && (all || none); i++)
        {
            ReadOnlySpan<float> numbers = new(mask + i * group.KeysOfTile + column, width);
            all = all && numbers.IndexOfAnyExcept(0f) < 0;
            none = none && numbers.IndexOfAnyExcept(float.NegativeInfinity) < 0;
        }
        return all ? Sight.All : none ? Sight.None : Sight.Some;
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

/// <summary>Attention over tiles, block by block: scores stand keys by queries, so a lane of a vector is a query. Everything is
/// float32.</summary>
/// <remarks>A head of a sequence is computed the same whatever else is in the batch.</remarks>
/// <typeparam name="T">The vectors.</typeparam>
internal static unsafe class BlockSparseLoops<T> where T : unmanaged, ILanes<T>
{
    private const int Block = TileCall.Block;

    /// <summary>Attends, heads [begin, end) of B·H.</summary>
    public static void Forward(TileCall call, long begin, long end)
    {
        int width = call.Width, valueWidth = call.ValueWidth;
        long keys = call.LargestKeys, sharing = call.Heads / call.Groups;
        using Scratch scratch = new(
            call.Queries * (valueWidth + 2) + keys * (width + valueWidth) + 2 * Block * (width + valueWidth) + 2 * Block * Block
            + 8 * Block, arrays: 16);
        float* sums = scratch.Take(call.Queries * valueWidth), tops = scratch.Take(call.Queries), totals = scratch.Take(call.Queries);
        float* key = scratch.Take(keys * width), value = scratch.Take(keys * valueWidth), rows = scratch.Take(Block * width),
            query = scratch.Take(Block * width);
        float* scores = scratch.Take(Block * Block), part = scratch.Take(Block * valueWidth), slope = null;
        float* top = scratch.Take(Block), total = scratch.Take(Block), fade = scratch.Take(Block), documents = scratch.Take(Block);
        for (long head = begin; head < end; head++)
        {
            long batch = head / call.Heads, h = head % call.Heads;
            NativeMemory.Clear(sums, (nuint)(call.Queries * valueWidth * sizeof(float)));
            new Span<float>(tops, (int)call.Queries).Fill(float.NegativeInfinity);
            NativeMemory.Clear(totals, (nuint)(call.Queries * sizeof(float)));
            foreach (ref readonly TileGroup group in call.Tiles.AsSpan())
            {
                for (long tile = 0; tile < group.Count; tile++)
                {
                    long* ofKeys = group.Keys + tile * group.KeysOfTile;
                    Gather(call.Key, batch, h / sharing, ofKeys, group.KeysOfTile, width, key);
                    Gather(call.Value, batch, h / sharing, ofKeys, group.KeysOfTile, valueWidth, value);
                    for (long block = 0; block < group.QueryBlocks; block++)
                    {
                        int count = (int)Math.Min(Block, group.QueriesOfTile - block * Block), lanes = Padded(count);
                        long* ofQueries = group.Queries + tile * group.QueriesOfTile + block * Block;
                        Gather(call.Query, batch, h, ofQueries, count, width, rows);
                        Transpose(rows, count, lanes, width, call.Scale, query);
                        for (int i = 0; i < lanes; i++)
                            (top[i], total[i]) = i < count ? (tops[ofQueries[i]], totals[ofQueries[i]]) : (float.NegativeInfinity, 0);
                        for (int i = 0; i < count; i++) Copy(sums + ofQueries[i] * valueWidth, part + i * valueWidth, valueWidth);
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, ofQueries, ofKeys + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
                            if (!Scores(call, group, pairs, block, at, query, key + at * width, scores, slope, documents)) continue;
                            if (!Weigh(scores, pairs.Keys, lanes, top, total, fade)) continue;
                            Fade(part, fade, count, valueWidth);
                            Product(count, valueWidth, pairs.Keys, scores, 1, Block, value + at * valueWidth, valueWidth, part, add: true);
                        }
                        for (int i = 0; i < count; i++)
                        {
                            (tops[ofQueries[i]], totals[ofQueries[i]]) = (top[i], total[i]);
                            Copy(part + i * valueWidth, sums + ofQueries[i] * valueWidth, valueWidth);
                        }
                    }
                }
            }
            for (long i = 0; i < call.Queries; i++)
            {
                call.Out.Store<T>(batch, h, i, 1, valueWidth, sums + i * valueWidth, totals[i] > 0 ? 1 / totals[i] : 0);
                if (call.Log is not null) call.Log[head * call.Queries + i] = totals[i] > 0 ? tops[i] + MathF.Log(totals[i]) : 0;
            }
        }
    }

    /// <summary>The gradients, key-value heads [begin, end) of B·G: all query heads that share one add to its gradients in turn.</summary>
    public static void Backward(TileCall call, long begin, long end)
    {
        int width = call.Width, valueWidth = call.ValueWidth;
        long keys = call.LargestKeys, sharing = call.Heads / call.Groups;
        using Scratch scratch = new(
            2 * keys * (width + valueWidth) + 3 * Block * (width + valueWidth) + 3 * Block * Block + 8 * Block, arrays: 20);
        float* key = scratch.Take(keys * width), value = scratch.Take(keys * valueWidth), dkey = scratch.Take(keys * width),
            dvalue = scratch.Take(keys * valueWidth);
        float* rows = scratch.Take(Block * width), query = scratch.Take(Block * width), dquery = scratch.Take(Block * width);
        float* doutRows = scratch.Take(Block * valueWidth), dout = scratch.Take(Block * valueWidth),
            result = scratch.Take(Block * valueWidth);
        float* scores = scratch.Take(Block * Block), slopes = scratch.Take(Block * Block), slope = call.SoftCap > 0
            ? scratch.Take(Block * Block) : null;
        float* log = scratch.Take(Block), delta = scratch.Take(Block), documents = scratch.Take(Block);
        for (long list = begin; list < end; list++)
        {
            long batch = list / call.Groups, g = list % call.Groups;
            foreach (ref readonly TileGroup group in call.Tiles.AsSpan())
            {
                for (long tile = 0; tile < group.Count; tile++)
                {
                    long* ofKeys = group.Keys + tile * group.KeysOfTile;
                    Gather(call.Key, batch, g, ofKeys, group.KeysOfTile, width, key);
                    Gather(call.Value, batch, g, ofKeys, group.KeysOfTile, valueWidth, value);
                    NativeMemory.Clear(dkey, (nuint)(group.KeysOfTile * width * sizeof(float)));
                    NativeMemory.Clear(dvalue, (nuint)(group.KeysOfTile * valueWidth * sizeof(float)));
                    for (long h = g * sharing; h < (g + 1) * sharing; h++)
                    for (long block = 0; block < group.QueryBlocks; block++)
                    {
                        int count = (int)Math.Min(Block, group.QueriesOfTile - block * Block), lanes = Padded(count);
                        long* ofQueries = group.Queries + tile * group.QueriesOfTile + block * Block;
                        Gather(call.Query, batch, h, ofQueries, count, width, rows);
                        Transpose(rows, count, lanes, width, call.Scale, query);
                        Gather(call.OutGradient, batch, h, ofQueries, count, valueWidth, doutRows);
                        Transpose(doutRows, count, lanes, valueWidth, 1, dout);
                        Gather(call.Out, batch, h, ofQueries, count, valueWidth, result);
                        for (int i = 0; i < lanes; i++)
                        {
                            // of no query: weights 0
                            log[i] = i < count ? call.Log[(batch * call.Heads + h) * call.Queries + ofQueries[i]] : float.PositiveInfinity;
                            delta[i] = i < count ? Dot(doutRows + i * valueWidth, result + i * valueWidth, valueWidth) : 0;
                        }
                        NativeMemory.Clear(dquery, (nuint)(Block * width * sizeof(float)));
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, ofQueries, ofKeys + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
                            if (!Scores(call, group, pairs, block, at, query, key + at * width, scores, slope, documents)) continue;
                            Product(pairs.Keys, lanes, valueWidth, value + at * valueWidth, valueWidth, 1, dout, Block, slopes, Block,
                                add: false);
                            Differentiate(scores, slopes, pairs.Keys, lanes, log, delta);
                            if (call.BiasGradient is not null) AddBiasGradient(call, pairs, slopes);
                            if (slope is not null) Multiply(slopes, slope, pairs.Keys, lanes);
                            Product(pairs.Keys, valueWidth, count, scores, Block, 1, doutRows, valueWidth, dvalue + at * valueWidth,
                                add: true);
                            Product(pairs.Keys, width, count, slopes, Block, 1, rows, width, dkey + at * width, add: true);
                            Product(count, width, pairs.Keys, slopes, 1, Block, key + at * width, width, dquery, add: true);
                        }
                        for (int i = 0; i < count; i++)
                            Add(dquery + i * width, call.QueryGradient + ((batch * call.Queries + ofQueries[i]) * call.Heads + h) * width,
                                width, call.Scale);
                    }
                    for (long i = 0; i < group.KeysOfTile; i++)
                    {
                        long row = (batch * call.Keys + ofKeys[i]) * call.Groups + g;
                        Add(dkey + i * width, call.KeyGradient + row * width, width, call.Scale);
                        Add(dvalue + i * valueWidth, call.ValueGradient + row * valueWidth, valueWidth, 1);
                    }
                }
            }
        }
    }

    private static int Padded(int count) => (count + T.Count - 1) / T.Count * T.Count;

    // The scores of a block, capped, masked and biased; false where its queries see none of its keys.
    private static bool Scores(
        TileCall call, in TileGroup group, in Pairs pairs, long block, long at, float* query, float* key, float* scores, float* slope,
            float* documents)
    {
        Sight sight = group.SightOf(block, at / Block);
        if (sight == Sight.None) return false;
        if (call.QueryDocuments is not null && !Documents(call, pairs, documents)) return false;
        Product(pairs.Keys, pairs.Lanes, call.Width, key, call.Width, 1, query, Block, scores, Block, add: false);
        if (call.SoftCap > 0) Cap(scores, slope, pairs.Keys, pairs.Lanes, call.SoftCap);
        if (sight == Sight.Some) Add(group.Mask + at * group.MaskStride + block * Block, group.MaskStride, scores, pairs.Keys, pairs.Lanes);
        if (call.Bias is not null) AddBias(call, pairs, scores);
        if (call.QueryDocuments is not null) Hide(call, pairs, documents, scores);
        return true;
    }

    private static void Gather(HeadRows from, long batch, long head, long* index, long count, int width, float* to)
    {
        for (long i = 0; i < count;)
        {
            long run = 1;
            while (i + run < count && index[i + run] == index[i] + run) run++;
            from.Load<T>(batch, head, index[i], run, width, to + i * width);
            i += run;
        }
    }

    // c (rows, width) = or += a·b
    private static void Product(int rows, int width, int depth, float* a, nint row, nint step, float* b, nint ofB, float* c, bool add) =>
        Product(rows, width, depth, a, row, step, b, ofB, c, width, add);

    private static void Product(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        for (int r = 0; r < rows; r += TileProduct<T>.Rows)
            TileProduct<T>.Multiply(
                Math.Min(TileProduct<T>.Rows, rows - r), width, depth, a + r * row, row, step, b, ofB, c + r * ofC, ofC, add);
    }

    // x (count, width) → factor·xᵀ (width, 64), 0 for further lanes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float* x, int count, int lanes, int width, float factor, float* to)
    {
        Vector128<float> times = Vector128.Create(factor);
        int i = 0;
        for (; i <= count - 4; i += 4)
        {
            float* a = x + i * width, b = a + width, c = b + width, d = c + width, column = to + i;
            for (int n = 0; n < width; n++, column += Block) (Vector128.Create(a[n], b[n], c[n], d[n]) * times).Store(column);
        }
        for (; i < lanes; i++)
            for (int n = 0; n < width; n++) to[n * Block + i] = i < count ? x[i * width + n] * factor : 0;
    }

    // s becomes cap·tanh(s/cap), and slope its derivative.
    [MethodImpl(Lanes.Loop)]
    private static void Cap(float* scores, float* slope, int keys, int lanes, float cap)
    {
        T wide = T.Broadcast(cap), narrow = T.Broadcast(1 / cap), one = T.Broadcast(1);
        for (int n = 0; n < keys; n++)
        for (int m = n * Block; m < n * Block + lanes; m += T.Count)
        {
            T bent = VectorMath.Tanh(T.Load(scores + m) * narrow);
            T.Store(bent * wide, scores + m);
            if (slope is not null) T.Store(one - bent * bent, slope + m);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Add(float* mask, long stride, float* scores, int keys, int lanes)
    {
        for (int n = 0; n < keys; n++)
        for (int m = 0; m < lanes; m += T.Count)
            T.Store(T.Load(scores + n * Block + m) + T.Load(mask + n * stride + m), scores + n * Block + m);
    }

    [MethodImpl(Lanes.Loop)]
    private static void Multiply(float* slopes, float* by, int keys, int lanes)
    {
        for (int n = 0; n < keys; n++)
        for (int m = n * Block; m < n * Block + lanes; m += T.Count)
            T.Store(T.Load(slopes + m) * T.Load(by + m), slopes + m);
    }

    // The documents of the queries; whether any key is of one of them.
    private static bool Documents(TileCall call, in Pairs pairs, float* documents)
    {
        (float low, float high) = (float.PositiveInfinity, float.NegativeInfinity);
        for (int i = 0; i < pairs.Lanes; i++)
        {
            float document = call.QueryDocuments[pairs.Batch * call.Queries + pairs.QueryRows[Math.Min(i, pairs.Queries - 1)]];
            (documents[i], low, high) = (document, Math.Min(low, document), Math.Max(high, document));
        }
        for (int n = 0; n < pairs.Keys; n++)
        {
            float document = call.KeyDocuments[pairs.Batch * call.Keys + pairs.KeyRows[n]];
            if (document >= low && document <= high) return true;
        }
        return false;
    }

    [MethodImpl(Lanes.Loop)]
    private static void Hide(TileCall call, in Pairs pairs, float* documents, float* scores)
    {
        T blind = T.Broadcast(float.NegativeInfinity);
        float* ofKeys = call.KeyDocuments + pairs.Batch * call.Keys;
        int lanes = pairs.Lanes, keys = pairs.Keys;
        for (int n = 0; n < keys; n++)
        {
            T key = T.Broadcast(ofKeys[pairs.KeyRows[n]]);
            float* row = scores + n * Block;
            for (int m = 0; m < lanes; m += T.Count)
            {
                T query = T.Load(documents + m);
                T.Store(T.SelectLess(query, key, blind, T.SelectLess(key, query, blind, T.Load(row + m))), row + m);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBias(TileCall call, in Pairs pairs, float* scores)
    {
        float* table = call.Bias + pairs.Head * call.BiasLength;
        long last = call.BiasLength - 1;
        for (int m = 0; m < pairs.Queries; m += T.Count)
        {
            int count = Math.Min(T.Count, pairs.Queries - m);
            (long low, long high, bool adjacent) = Positions(call, pairs, m, count);
            for (int n = 0; n < pairs.Keys; n++)
            {
                long shift = call.KeyPositions[pairs.KeyRows[n]] + call.LowestDistance;
                float* at = scores + n * Block + m;
                if (high - shift <= 0) T.Store(T.Load(at) + T.Broadcast(table[0]), at);
                else if (low - shift >= last) T.Store(T.Load(at) + T.Broadcast(table[last]), at);
                else if (adjacent && count == T.Count && low - shift >= 0 && high - shift <= last)
                    T.Store(T.Load(at) + T.Load(table + low - shift), at);
                else
                    for (int i = 0; i < count; i++)
                        at[i] += table[Math.Clamp(call.QueryPositions[pairs.QueryRows[m + i]] - shift, 0, last)];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBiasGradient(TileCall call, in Pairs pairs, float* slopes)
    {
        double* table = call.BiasGradient + (pairs.Batch * call.Heads + pairs.Head) * call.BiasLength;
        long last = call.BiasLength - 1;
        for (int m = 0; m < pairs.Queries; m += T.Count)
        {
            int count = Math.Min(T.Count, pairs.Queries - m);
            (long low, long high, _) = Positions(call, pairs, m, count);
            for (int n = 0; n < pairs.Keys; n++)
            {
                long shift = call.KeyPositions[pairs.KeyRows[n]] + call.LowestDistance;
                float* at = slopes + n * Block + m;
                if (high - shift <= 0) table[0] += T.Sum(T.Load(at)); // further lanes are 0
                else if (low - shift >= last) table[last] += T.Sum(T.Load(at));
                else
                    for (int i = 0; i < count; i++)
                        table[Math.Clamp(call.QueryPositions[pairs.QueryRows[m + i]] - shift, 0, last)] += at[i];
            }
        }
    }

    private static (long Low, long High, bool Adjacent) Positions(TileCall call, in Pairs pairs, int first, int count)
    {
        long start = call.QueryPositions[pairs.QueryRows[first]];
        (long low, long high, bool adjacent) = (start, start, true);
        for (int i = 1; i < count; i++)
        {
            long position = call.QueryPositions[pairs.QueryRows[first + i]];
            (low, high, adjacent) = (Math.Min(low, position), Math.Max(high, position), adjacent && position == start + i);
        }
        return (low, high, adjacent);
    }

    // One step of the online softmax: scores become weights over e^top, where top is the largest score so far; fade is what earlier weights
    // have to be multiplied with. False where nothing is seen.
    [MethodImpl(Lanes.Loop)]
    private static bool Weigh(float* scores, int keys, int lanes, float* top, float* total, float* fade)
    {
        T blind = T.Broadcast(-1e38f), zero = T.Broadcast(0), seen = T.Broadcast(float.NegativeInfinity);
        for (int m = 0; m < lanes; m += T.Count)
        {
            T before = T.Load(top + m), largest = before, other = before;
            int n = 0;
            for (; n < keys - 1; n += 2)
            {
                largest = T.MaxNative(largest, T.Load(scores + n * Block + m));
                other = T.MaxNative(other, T.Load(scores + (n + 1) * Block + m));
            }
            if (n < keys) largest = T.MaxNative(largest, T.Load(scores + n * Block + m));
            largest = T.MaxNative(largest, other);
            seen = T.MaxNative(seen, largest);
            T.Store(largest, top + m);
            T floor = T.SelectLess(largest, blind, zero, largest);
            T faded = VectorMath.Exp(before - floor), sum = T.Load(total + m) * faded;
            T.Store(faded, fade + m);
            for (n = 0; n < keys; n++)
            {
                T weight = VectorMath.Exp(T.Load(scores + n * Block + m) - floor);
                T.Store(weight, scores + n * Block + m);
                sum += weight;
            }
            T.Store(sum, total + m);
        }
        return !float.IsNegativeInfinity(T.Max(seen));
    }

    // Scores become weights, and the gradients of weights those of scores.
    [MethodImpl(Lanes.Loop)]
    private static void Differentiate(float* scores, float* slopes, int keys, int lanes, float* log, float* delta)
    {
        for (int m = 0; m < lanes; m += T.Count)
        {
            T sum = T.Load(log + m), mean = T.Load(delta + m);
            for (int n = m; n < keys * Block + m; n += Block)
            {
                T weight = VectorMath.Exp(T.Load(scores + n) - sum);
                T.Store(weight, scores + n);
                T.Store(weight * (T.Load(slopes + n) - mean), slopes + n);
            }
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Fade(float* sums, float* fade, int rows, int width)
    {
        for (int row = 0; row < rows; row++, sums += width)
        {
            if (fade[row] == 1) continue;
            T factor = T.Broadcast(fade[row]);
            for (int i = 0; i < width; i += T.Count) T.Store(T.Load(sums + i) * factor, sums + i);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Add(float* from, float* to, int width, float factor)
    {
        T times = T.Broadcast(factor);
        for (int i = 0; i < width; i += T.Count) T.Store(T.MultiplyAdd(T.Load(from + i), times, T.Load(to + i)), to + i);
    }

    private static void Copy(float* from, float* to, int width) => new ReadOnlySpan<float>(from, width).CopyTo(new(to, width));

    [MethodImpl(Lanes.Loop)]
    private static float Dot(float* a, float* b, int width)
    {
        T sum = T.Broadcast(0);
        for (int i = 0; i < width; i += T.Count) sum = T.MultiplyAdd(T.Load(a + i), T.Load(b + i), sum);
        return T.Sum(sum);
    }

    /// <summary>A block of scores.</summary>
    private readonly struct Pairs(long batch, long head, long* queryRows, long* keyRows, int queries, int lanes, int keys)
    {
        public readonly long Batch = batch, Head = head;

        public readonly long* QueryRows = queryRows, KeyRows = keyRows;

        public readonly int Queries = queries, Lanes = lanes, Keys = keys;
    }
}
