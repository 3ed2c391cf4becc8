// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a query, E width of a value, c tiles of a group, m
// queries of a tile, n keys of a tile.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Attention over tiles, block by block in float32. Scores lie keys by queries: a lane is a query.</summary>
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
        float* outputs = scratch.Take(call.Queries * valueWidth), maxima = scratch.Take(call.Queries), sums = scratch.Take(call.Queries);
        float* key = scratch.Take(keys * width), value = scratch.Take(keys * valueWidth);
        float* rows = scratch.Take(Block * width), query = scratch.Take(Block * width);
        float* scores = scratch.Take(Block * Block), output = scratch.Take(Block * valueWidth), slope = null;
        float* max = scratch.Take(Block), sum = scratch.Take(Block), rescale = scratch.Take(Block), documents = scratch.Take(Block);
        for (long head = begin; head < end; head++)
        {
            long batch = head / call.Heads, h = head % call.Heads;
            NativeMemory.Clear(outputs, (nuint)(call.Queries * valueWidth * sizeof(float)));
            new Span<float>(maxima, (int)call.Queries).Fill(float.NegativeInfinity);
            NativeMemory.Clear(sums, (nuint)(call.Queries * sizeof(float)));
            foreach (ref readonly TileGroup group in call.Tiles.AsSpan())
            {
                for (long tile = 0; tile < group.Count; tile++)
                {
                    long* keyRows = group.Keys + tile * group.KeysOfTile;
                    Gather(call.Key, batch, h / sharing, keyRows, group.KeysOfTile, width, key);
                    Gather(call.Value, batch, h / sharing, keyRows, group.KeysOfTile, valueWidth, value);
                    for (long block = 0; block < group.QueryBlocks; block++)
                    {
                        int count = (int)Math.Min(Block, group.QueriesOfTile - block * Block), lanes = Padded(count);
                        long* queryRows = group.Queries + tile * group.QueriesOfTile + block * Block;
                        Gather(call.Query, batch, h, queryRows, count, width, rows);
                        TileLoops<T>.Transpose(rows, count, lanes, width, call.Scale, query);
                        for (int i = 0; i < lanes; i++)
                            (max[i], sum[i]) = i < count ? (maxima[queryRows[i]], sums[queryRows[i]]) : (float.NegativeInfinity, 0);
                        for (int i = 0; i < count; i++) Copy(outputs + queryRows[i] * valueWidth, output + i * valueWidth, valueWidth);
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, queryRows, keyRows + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
                            if (!Scores(call, group, pairs, block, at, query, key + at * width, scores, slope, documents)) continue;
                            if (!Softmax(scores, pairs.Keys, lanes, max, sum, rescale)) continue;
                            TileLoops<T>.Scale(count, valueWidth, rescale, output);
                            TileProduct<T>.MultiplyAll(count, valueWidth, pairs.Keys, scores, 1, Block, value + at * valueWidth, valueWidth,
                                output, valueWidth, add: true);
                        }
                        for (int i = 0; i < count; i++)
                        {
                            (maxima[queryRows[i]], sums[queryRows[i]]) = (max[i], sum[i]);
                            Copy(output + i * valueWidth, outputs + queryRows[i] * valueWidth, valueWidth);
                        }
                    }
                }
            }
            for (long i = 0; i < call.Queries; i++)
            {
                call.Out.Store<T>(batch, h, i, 1, valueWidth, outputs + i * valueWidth, sums[i] > 0 ? 1 / sums[i] : 0);
                if (call.Log is not null) call.Log[head * call.Queries + i] = sums[i] > 0 ? maxima[i] + MathF.Log(sums[i]) : 0;
            }
        }
    }

    /// <summary>Gradients, key-value heads [begin, end) of B·G: query heads that share one add to its gradients in order.</summary>
    public static void Backward(BlockSparseCall call, long begin, long end)
    {
        int width = call.Width, valueWidth = call.ValueWidth;
        long keys = call.LargestKeys, sharing = call.Heads / call.Groups;
        using Scratch scratch = new(
            2 * keys * (width + valueWidth) + 3 * Block * (width + valueWidth) + 3 * Block * Block + 8 * Block, arrays: 20);
        float* key = scratch.Take(keys * width), value = scratch.Take(keys * valueWidth);
        float* dkey = scratch.Take(keys * width), dvalue = scratch.Take(keys * valueWidth);
        float* rows = scratch.Take(Block * width), query = scratch.Take(Block * width), dquery = scratch.Take(Block * width);
        float* doutRows = scratch.Take(Block * valueWidth), dout = scratch.Take(Block * valueWidth);
        float* result = scratch.Take(Block * valueWidth);
        float* scores = scratch.Take(Block * Block), slopes = scratch.Take(Block * Block);
        float* slope = call.SoftCap > 0 ? scratch.Take(Block * Block) : null;
        float* log = scratch.Take(Block), delta = scratch.Take(Block), documents = scratch.Take(Block);
        for (long list = begin; list < end; list++)
        {
            long batch = list / call.Groups, g = list % call.Groups;
            foreach (ref readonly TileGroup group in call.Tiles.AsSpan())
            {
                for (long tile = 0; tile < group.Count; tile++)
                {
                    long* keyRows = group.Keys + tile * group.KeysOfTile;
                    Gather(call.Key, batch, g, keyRows, group.KeysOfTile, width, key);
                    Gather(call.Value, batch, g, keyRows, group.KeysOfTile, valueWidth, value);
                    NativeMemory.Clear(dkey, (nuint)(group.KeysOfTile * width * sizeof(float)));
                    NativeMemory.Clear(dvalue, (nuint)(group.KeysOfTile * valueWidth * sizeof(float)));
                    for (long h = g * sharing; h < (g + 1) * sharing; h++)
                    for (long block = 0; block < group.QueryBlocks; block++)
                    {
                        int count = (int)Math.Min(Block, group.QueriesOfTile - block * Block), lanes = Padded(count);
                        long* queryRows = group.Queries + tile * group.QueriesOfTile + block * Block;
                        Gather(call.Query, batch, h, queryRows, count, width, rows);
                        TileLoops<T>.Transpose(rows, count, lanes, width, call.Scale, query);
                        Gather(call.OutGradient, batch, h, queryRows, count, valueWidth, doutRows);
                        TileLoops<T>.Transpose(doutRows, count, lanes, valueWidth, 1, dout);
                        Gather(call.Out, batch, h, queryRows, count, valueWidth, result);
                        for (int i = 0; i < lanes; i++)
                        {
                            // +∞ makes the weights of lanes without a query 0.
                            log[i] = i < count ? call.Log[(batch * call.Heads + h) * call.Queries + queryRows[i]] : float.PositiveInfinity;
                            delta[i] = i < count ? TileLoops<T>.Dot(doutRows + i * valueWidth, result + i * valueWidth, valueWidth) : 0;
                        }
                        NativeMemory.Clear(dquery, (nuint)(Block * width * sizeof(float)));
                        for (long at = 0; at < group.KeysOfTile; at += Block)
                        {
                            Pairs pairs = new(batch, h, queryRows, keyRows + at, count, lanes, (int)Math.Min(Block, group.KeysOfTile - at));
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
                            Add(dquery + i * width, call.QueryGradient + ((batch * call.Queries + queryRows[i]) * call.Heads + h) * width,
                                width, call.Scale);
                    }
                    for (long i = 0; i < group.KeysOfTile; i++)
                    {
                        long row = (batch * call.Keys + keyRows[i]) * call.Groups + g;
                        Add(dkey + i * width, call.KeyGradient + row * width, width, call.Scale);
                        Add(dvalue + i * valueWidth, call.ValueGradient + row * valueWidth, valueWidth, 1);
                    }
                }
            }
        }
    }

    private static int Padded(int count) => (count + T.Count - 1) / T.Count * T.Count;

    // The scores of a block, capped, masked and biased; false where all of it is hidden.
    private static bool Scores(
        BlockSparseCall call, in TileGroup group, in Pairs pairs, long block, long at, float* query, float* key,
        float* scores, float* slope, float* documents)
    {
        Visibility visible = group.VisibilityOf(block, at / Block);
        if (visible == Visibility.None) return false;
        if (call.QueryDocuments is not null && !Documents(call, pairs, documents)) return false;
        TileProduct<T>.MultiplyAll(pairs.Keys, pairs.Lanes, call.Width, key, call.Width, 1, query, Block, scores, Block, add: false);
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

    // Bounds scores s to cap·tanh(s/cap), and stores the derivative.
    [MethodImpl(Lanes.Loop)]
    private static void Cap(float* scores, float* slope, int keys, int lanes, float cap)
    {
        T wide = T.Broadcast(cap), narrow = T.Broadcast(1 / cap), one = T.Broadcast(1);
        for (int n = 0; n < keys; n++)
        for (int m = n * Block; m < n * Block + lanes; m += T.Count)
        {
            T tanh = VectorMath.Tanh(T.Load(scores + m) * narrow);
            T.Store(tanh * wide, scores + m);
            if (slope is not null) T.Store(one - tanh * tanh, slope + m);
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

    // Loads the documents of the queries; whether any key may be of one of them.
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
        T hidden = T.Broadcast(float.NegativeInfinity);
        float* keyDocuments = call.KeyDocuments + pairs.Batch * call.Keys;
        int lanes = pairs.Lanes, keys = pairs.Keys;
        for (int n = 0; n < keys; n++)
        {
            T key = T.Broadcast(keyDocuments[pairs.KeyRows[n]]);
            float* row = scores + n * Block;
            for (int m = 0; m < lanes; m += T.Count)
            {
                T query = T.Load(documents + m);
                T.Store(T.SelectLess(query, key, hidden, T.SelectLess(key, query, hidden, T.Load(row + m))), row + m);
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
                if (high - shift <= 0) table[0] += T.Sum(T.Load(at)); // lanes past count are 0
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

    // One step of the online softmax: scores become weights, max and sum of each query are updated, and rescale is what earlier weighted
    // sums must be multiplied by. False where no key is visible.
    [MethodImpl(Lanes.Loop)]
    private static bool Softmax(float* scores, int keys, int lanes, float* max, float* sum, float* rescale)
    {
        T lowest = T.Broadcast(-1e38f), zero = T.Broadcast(0), highest = T.Broadcast(float.NegativeInfinity);
        for (int m = 0; m < lanes; m += T.Count)
        {
            T before = T.Load(max + m), largest = before, other = before;
            int n = 0;
            for (; n < keys - 1; n += 2)
            {
                largest = T.MaxNative(largest, T.Load(scores + n * Block + m));
                other = T.MaxNative(other, T.Load(scores + (n + 1) * Block + m));
            }
            if (n < keys) largest = T.MaxNative(largest, T.Load(scores + n * Block + m));
            largest = T.MaxNative(largest, other);
            highest = T.MaxNative(highest, largest);
            T.Store(largest, max + m);
            T shift = T.SelectLess(largest, lowest, zero, largest); // −∞ − −∞ would be NaN
            T factor = VectorMath.Exp(before - shift), total = T.Load(sum + m) * factor;
            T.Store(factor, rescale + m);
            for (n = 0; n < keys; n++)
            {
                T weight = VectorMath.Exp(T.Load(scores + n * Block + m) - shift);
                T.Store(weight, scores + n * Block + m);
                total += weight;
            }
            T.Store(total, sum + m);
        }
        return !float.IsNegativeInfinity(T.Max(highest));
    }

    // Scores become weights, and gradients of weights become those of scores.
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
        T scale = T.Broadcast(factor);
        for (int i = 0; i < width; i += T.Count) T.Store(T.MultiplyAdd(T.Load(from + i), scale, T.Load(to + i)), to + i);
    }

    private static void Copy(float* from, float* to, int width) => new ReadOnlySpan<float>(from, width).CopyTo(new(to, width));

    /// <summary>The queries and keys of a block of scores.</summary>
    private readonly struct Pairs(long batch, long head, long* queryRows, long* keyRows, int queries, int lanes, int keys)
    {
        public readonly long Batch = batch, Head = head;

        public readonly long* QueryRows = queryRows, KeyRows = keyRows;

        public readonly int Queries = queries, Lanes = lanes, Keys = keys;
    }
}
