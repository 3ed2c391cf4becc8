// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a query, E width of a value, c tiles of a group, m
// queries of a tile, n keys of a tile.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Attention over tiles, block by block: scores stand keys by queries, so a lane of a vector is a query. Everything is
/// float32.</summary>
/// <remarks>A head of a sequence is computed the same whatever else is in the batch.</remarks>
/// <typeparam name="T">The vectors.</typeparam>
internal static unsafe class BlockSparseLoops<T> where T : unmanaged, ILanes<T>
{
    private const int Block = BlockSparseCall.Block;

    /// <summary>Attends, heads [begin, end) of B·H.</summary>
    public static void Forward(BlockSparseCall call, long begin, long end)
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
                        TileLoops<T>.Transpose(rows, count, lanes, width, call.Scale, query);
                        for (int i = 0; i < lanes; i++)
                            (top[i], total[i]) = i < count ? (tops[ofQueries[i]], totals[ofQueries[i]]) : (float.NegativeInfinity, 0);
                        for (int i = 0; i < count; i++) Copy(sums + ofQueries[i] * valueWidth, part + i * valueWidth, valueWidth);
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, ofQueries, ofKeys + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
                            if (!Scores(call, group, pairs, block, at, query, key + at * width, scores, slope, documents)) continue;
                            if (!Weigh(scores, pairs.Keys, lanes, top, total, fade)) continue;
                            TileLoops<T>.Scale(count, valueWidth, fade, part);
                            TileProduct<T>.MultiplyAll(count, valueWidth, pairs.Keys, scores, 1, Block, value + at * valueWidth, valueWidth,
                                part, valueWidth, add: true);
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
    public static void Backward(BlockSparseCall call, long begin, long end)
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
                        TileLoops<T>.Transpose(rows, count, lanes, width, call.Scale, query);
                        Gather(call.OutGradient, batch, h, ofQueries, count, valueWidth, doutRows);
                        TileLoops<T>.Transpose(doutRows, count, lanes, valueWidth, 1, dout);
                        Gather(call.Out, batch, h, ofQueries, count, valueWidth, result);
                        for (int i = 0; i < lanes; i++)
                        {
                            // of no query: weights 0
                            log[i] = i < count ? call.Log[(batch * call.Heads + h) * call.Queries + ofQueries[i]] : float.PositiveInfinity;
                            delta[i] = i < count ? TileLoops<T>.Dot(doutRows + i * valueWidth, result + i * valueWidth, valueWidth) : 0;
                        }
                        NativeMemory.Clear(dquery, (nuint)(Block * width * sizeof(float)));
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, ofQueries, ofKeys + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
                            if (!Scores(call, group, pairs, block, at, query, key + at * width, scores, slope, documents)) continue;
                            TileProduct<T>.MultiplyAll(pairs.Keys, lanes, valueWidth, value + at * valueWidth, valueWidth, 1, dout, Block,
                                slopes, Block, add: false);
                            Differentiate(scores, slopes, pairs.Keys, lanes, log, delta);
                            if (call.BiasGradient is not null) AddBiasGradient(call, pairs, slopes);
                            if (slope is not null) Multiply(slopes, slope, pairs.Keys, lanes);
                            TileProduct<T>.MultiplyAll(pairs.Keys, valueWidth, count, scores, Block, 1, doutRows, valueWidth,
                                dvalue + at * valueWidth, valueWidth, add: true);
                            TileProduct<T>.MultiplyAll(pairs.Keys, width, count, slopes, Block, 1, rows, width,
                                dkey + at * width, width, add: true);
                            TileProduct<T>.MultiplyAll(count, width, pairs.Keys, slopes, 1, Block, key + at * width, width,
                                dquery, width, add: true);
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
        BlockSparseCall call, in TileGroup group, in Pairs pairs, long block, long at, float* query, float* key,
        float* scores, float* slope, float* documents)
    {
        Visibility visible = group.VisibilityOf(block, at / Block);
        if (visible == Visibility.None) return false;
        if (call.QueryDocuments is not null && !Documents(call, pairs, documents)) return false;
        TileProduct<T>.MultiplyAll(
            pairs.Keys, pairs.Lanes, call.Width, key, call.Width, 1, query, Block, scores, Block, add: false);
        if (call.SoftCap > 0) Cap(scores, slope, pairs.Keys, pairs.Lanes, call.SoftCap);
        if (visible == Visibility.Some)
            Add(group.Mask + at * group.MaskStride + block * Block, group.MaskStride, scores, pairs.Keys, pairs.Lanes);
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
    private static bool Documents(BlockSparseCall call, in Pairs pairs, float* documents)
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
    private static void Hide(BlockSparseCall call, in Pairs pairs, float* documents, float* scores)
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
    private static void AddBias(BlockSparseCall call, in Pairs pairs, float* scores)
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
    private static void AddBiasGradient(BlockSparseCall call, in Pairs pairs, float* slopes)
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

    private static (long Low, long High, bool Adjacent) Positions(BlockSparseCall call, in Pairs pairs, int first, int count)
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
    private static void Add(float* from, float* to, int width, float factor)
    {
        T times = T.Broadcast(factor);
        for (int i = 0; i < width; i += T.Count) T.Store(T.MultiplyAdd(T.Load(from + i), times, T.Load(to + i)), to + i);
    }

    private static void Copy(float* from, float* to, int width) => new ReadOnlySpan<float>(from, width).CopyTo(new(to, width));

    /// <summary>A block of scores.</summary>
    private readonly struct Pairs(long batch, long head, long* queryRows, long* keyRows, int queries, int lanes, int keys)
    {
        public readonly long Batch = batch, Head = head;

        public readonly long* QueryRows = queryRows, KeyRows = keyRows;

        public readonly int Queries = queries, Lanes = lanes, Keys = keys;
    }
}
