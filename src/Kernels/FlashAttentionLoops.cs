// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a head.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>Inputs and outputs of one call of flash attention.</summary>
internal unsafe struct FlashCall
{
    /// <summary>Queries of a tile.</summary>
    public const int TileRows = 64;

    public HeadRows Query, Key, Value, Out, OutGradient, QueryGradient, KeyGradient, ValueGradient;
    public float* Log; // (B, H, T): base-2 logarithms of the softmax's sums, 0 where no key is visible; null without a backward pass
    public long Batch, Heads, Groups, Queries, Keys;
    public int Width;
    public float Scale;
    public long Before, After; // key j is visible to query i where i − before < j ≤ i + after
    public int* Documents; // (B, T, 2): the keys [from, to) of each query's document; null for one document
    public float* Angles; // (…, T, W) of RotaryAngles; null for no rotation
    public long AngleBatchStride, AngleRowStride;
    public int RotatedDim;
    public bool Interleaved;
    public DropoutFactors Dropout;
    public long Parts; // tasks into which the forward pass splits the queries of a key-value head
}

/// <summary>Flash attention (Dao et al. 2022, arXiv 2205.14135) tile by tile in float32. Scores lie keys by queries: a lane is a query, so
/// the softmax needs no sums across lanes.</summary>
/// <remarks>Keys visible to no query of a tile are skipped. Results and gradients are summed in the order of keys and queries, whatever
/// else is computed: the same bits for any split.</remarks>
internal static unsafe class FlashLoops<T> where T : unmanaged, ILanes<T>
{
    // A tile of scores; dropout's counters decide on 64 keys together.
    private const int Rows = FlashCall.TileRows, Keys = DropoutFactors.Block;

    private const float Log2E = 1.44269504088896341f;

    /// <summary>Attends, tasks [begin, end) of B·G·Parts.</summary>
    public static void Forward(in FlashCall call, long begin, long end)
    {
        int width = call.Width;
        long tiles = (call.Queries + Rows - 1) / Rows, sharing = call.Heads / call.Groups, packed = -1;
        using Scratch scratch = new(2 * call.Keys * width + 2 * Rows * width + 2 * Rows * Keys + FlashMask.Size, arrays: 7);
        float* key = scratch.Take(call.Keys * width), value = scratch.Take(call.Keys * width);
        Tile tile = new()
        {
            Query = scratch.Take(Rows * width), Sums = scratch.Take(Rows * width),
            Weights = scratch.Take(Rows * Keys), Factors = scratch.Take(Rows * Keys),
        };
        FlashMask mask = new(scratch.Take(FlashMask.Size));
        for (long task = begin; task < end; task++)
        {
            long list = task / call.Parts, batch = list / call.Groups, group = list % call.Groups;
            if (list != packed) Pack(call, batch, group, key, value);
            packed = list;
            for (long unit = task % call.Parts; unit < tiles * sharing; unit += call.Parts)
            {
                if (unit + call.Parts is var next && next < tiles * sharing)
                    Prefetch(call, call.Query, batch, group * sharing + next / tiles, next % tiles);
                if (list + 1 < call.Batch * call.Groups && unit * Rows < call.Keys)
                {
                    Prefetch(call, call.Key, (list + 1) / call.Groups, (list + 1) % call.Groups, unit);
                    Prefetch(call, call.Value, (list + 1) / call.Groups, (list + 1) % call.Groups, unit);
                }
                Forward(call, batch, group * sharing + unit / tiles, unit % tiles * Rows, key, value, tile, ref mask);
            }
        }
    }

    /// <summary>Gradients, tasks [begin, end) of B·G: query heads that share a key-value head add to its gradients in order.</summary>
    public static void Backward(in FlashCall call, long begin, long end)
    {
        int width = call.Width;
        long sharing = call.Heads / call.Groups, numbers = call.Keys * width;
        using Scratch scratch = new(4 * numbers + 5 * Rows * width + 3 * Rows * Keys + FlashMask.Size, arrays: 13);
        float* key = scratch.Take(numbers), value = scratch.Take(numbers);
        float* keyGradient = scratch.Take(numbers), valueGradient = scratch.Take(numbers);
        Tile tile = new()
        {
            Query = scratch.Take(Rows * width), Sums = scratch.Take(Rows * width),
            Weights = scratch.Take(Rows * Keys), Factors = scratch.Take(Rows * Keys),
            QueryRows = scratch.Take(Rows * width), OutGradient = scratch.Take(Rows * width),
            OutGradientRows = scratch.Take(Rows * width), Slopes = scratch.Take(Rows * Keys),
        };
        FlashMask mask = new(scratch.Take(FlashMask.Size));
        for (long task = begin; task < end; task++)
        {
            long batch = task / call.Groups, group = task % call.Groups;
            Pack(call, batch, group, key, value);
            Clear(keyGradient, numbers);
            Clear(valueGradient, numbers);
            for (long head = group * sharing; head < (group + 1) * sharing; head++)
                for (long query = 0; query < call.Queries; query += Rows)
                    Backward(call, batch, head, query, key, value, keyGradient, valueGradient, tile, ref mask);
            RotaryLoops<T>.Rotate(call, batch, 0, call.Keys, keyGradient, backwards: true);
            call.KeyGradient.Store<T>(batch, group, 0, call.Keys, width, keyGradient, call.Scale);
            call.ValueGradient.Store<T>(batch, group, 0, call.Keys, width, valueGradient, 1);
        }
    }

    private static void Prefetch(in FlashCall call, in HeadRows heads, long batch, long head, long tile)
    {
        heads.Prefetch(batch, head, tile * Rows, Math.Min(Rows, call.Queries - tile * Rows), call.Width);
    }

    // The queries [query, query + 64) of a head.
    private static void Forward(
        in FlashCall call, long batch, long head, long query, float* key, float* value, in Tile tile, ref FlashMask mask)
    {
        int rows = (int)Math.Min(Rows, call.Queries - query), width = call.Width, padded = Padded(rows);
        float* max = stackalloc float[Rows], sum = stackalloc float[Rows], rescale = stackalloc float[Rows];
        new Span<float>(max, Rows).Fill(float.MinValue);
        new Span<float>(sum, Rows).Clear();
        call.Query.Load<T>(batch, head, query, rows, width, tile.Sums);
        RotaryLoops<T>.Rotate(call, batch, query, rows, tile.Sums, backwards: false);
        TileLoops<T>.Transpose(tile.Sums, rows, padded, width, call.Scale * Log2E, tile.Query);
        Clear(tile.Sums, rows * width);
        mask.MoveToQueries(call, batch, query, rows);
        bool any = false;
        for (long at = mask.First / Keys * Keys; at < mask.Last; at += Keys)
        {
            int keys = (int)Math.Min(Keys, call.Keys - at);
            if (!mask.MoveToKeys(at, keys)) continue;
            float* factors = FactorsOf(call, batch, head, query, rows, at, tile);
            Scores(mask, padded, width, key + at * width, tile.Query, tile.Weights);
            bool rescales = Softmax(mask, padded, tile.Weights, factors, max, sum, rescale);
            if (any && rescales) TileLoops<T>.Scale(rows, width, rescale, tile.Sums);
            any = true;
            AddRows(mask, width, tile.Weights, value + at * width, tile.Sums);
        }
        if (call.Log is not null)
        {
            float* log = call.Log + (batch * call.Heads + head) * call.Queries + query;
            for (int m = 0; m < rows; m++) log[m] = sum[m] == 0 ? 0 : max[m] + MathF.Log2(sum[m]);
        }
        for (int m = 0; m < rows; m++) sum[m] = sum[m] == 0 ? 0 : 1 / sum[m];
        call.Out.Store<T>(batch, head, query, rows, width, tile.Sums, sum);
    }

    private static void Backward(
        in FlashCall call, long batch, long head, long query, float* key, float* value, float* keyGradient, float* valueGradient,
        in Tile tile, ref FlashMask mask)
    {
        int rows = (int)Math.Min(Rows, call.Queries - query), width = call.Width, padded = Padded(rows);
        float* log = stackalloc float[Rows], delta = stackalloc float[Rows];
        new Span<float>(log, Rows).Clear();
        new Span<float>(delta, Rows).Clear();
        new ReadOnlySpan<float>(call.Log + (batch * call.Heads + head) * call.Queries + query, rows).CopyTo(new(log, Rows));
        call.Query.Load<T>(batch, head, query, rows, width, tile.QueryRows);
        RotaryLoops<T>.Rotate(call, batch, query, rows, tile.QueryRows, backwards: false);
        TileLoops<T>.Transpose(tile.QueryRows, rows, padded, width, call.Scale * Log2E, tile.Query);
        call.OutGradient.Load<T>(batch, head, query, rows, width, tile.OutGradientRows);
        TileLoops<T>.Transpose(tile.OutGradientRows, rows, padded, width, 1, tile.OutGradient);
        call.Out.Load<T>(batch, head, query, rows, width, tile.Sums);
        for (int m = 0; m < rows; m++) delta[m] = TileLoops<T>.Dot(tile.Sums + m * width, tile.OutGradientRows + m * width, width);
        Clear(tile.Sums, rows * width);
        mask.MoveToQueries(call, batch, query, rows);
        for (long at = mask.First / Keys * Keys; at < mask.Last; at += Keys)
        {
            int keys = (int)Math.Min(Keys, call.Keys - at);
            if (!mask.MoveToKeys(at, keys)) continue;
            float* factors = FactorsOf(call, batch, head, query, rows, at, tile);
            Scores(mask, padded, width, key + at * width, tile.Query, tile.Weights);
            Scores(mask, padded, width, value + at * width, tile.OutGradient, tile.Slopes);
            Differentiate(mask, padded, tile.Weights, tile.Slopes, factors, log, delta);
            AddKeys(mask, width, tile.Weights, tile.OutGradientRows, valueGradient + at * width);
            AddKeys(mask, width, tile.Slopes, tile.QueryRows, keyGradient + at * width);
            AddRows(mask, width, tile.Slopes, key + at * width, tile.Sums);
        }
        RotaryLoops<T>.Rotate(call, batch, query, rows, tile.Sums, backwards: true);
        call.QueryGradient.Store<T>(batch, head, query, rows, width, tile.Sums, call.Scale);
    }

    // What dropout multiplies the weights of a tile with; null for no dropout.
    private static float* FactorsOf(in FlashCall call, long batch, long head, long query, int rows, long at, in Tile tile)
    {
        if (!call.Dropout.Drops) return null;
        call.Dropout.FillColumns(call.Dropout.List(batch, call.Heads, head), (uint)query, rows, (uint)(at / Keys), tile.Factors, Rows);
        return tile.Factors;
    }

    // Contiguous keys and values, keys rotated.
    private static void Pack(in FlashCall call, long batch, long group, float* key, float* value)
    {
        call.Key.Load<T>(batch, group, 0, call.Keys, call.Width, key);
        RotaryLoops<T>.Rotate(call, batch, 0, call.Keys, key, backwards: false);
        call.Value.Load<T>(batch, group, 0, call.Keys, call.Width, value);
    }

    // Whole blocks of two vectors.
    private static int Padded(int rows) => (rows + 2 * T.Count - 1) / (2 * T.Count) * (2 * T.Count);

    // scores (keys, rows) = x (keys, D) · y (D, rows), where any key is visible to any row.
    private static void Scores(in FlashMask mask, int padded, int width, float* x, float* y, float* scores)
    {
        for (int n = 0; n < mask.Keys; n += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, mask.Keys - n), from = 0, to = padded;
            if (!mask.Whole)
                (from, to) = (mask.RowFrom[n] / (2 * T.Count) * (2 * T.Count), Math.Min(padded, Padded(mask.RowTo[n + count - 1])));
            if (from >= to) continue;
            TileProduct<T>.Multiply(
                count, to - from, width, x + n * width, width, 1, y + from, Rows, scores + n * Rows + from, Rows, add: false);
        }
    }

    // sums (rows, D) += weights (keys, rows)ᵀ · x (keys, D)
    private static void AddRows(in FlashMask mask, int width, float* weights, float* x, float* sums)
    {
        for (int m = 0; m < mask.Rows; m += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, mask.Rows - m);
            (int from, int to) = mask.KeysOf(m, count);
            if (from >= to) continue;
            TileProduct<T>.Multiply(
                count, width, to - from, weights + from * Rows + m, 1, Rows, x + from * width, width, sums + m * width, width, add: true);
        }
    }

    // sums (keys, D) += weights (keys, rows) · x (rows, D)
    private static void AddKeys(in FlashMask mask, int width, float* weights, float* x, float* sums)
    {
        for (int n = 0; n < mask.Keys; n += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, mask.Keys - n), from = 0, to = mask.Rows;
            if (!mask.Whole) (from, to) = (mask.RowFrom[n], mask.RowTo[n + count - 1]);
            if (from >= to) continue;
            TileProduct<T>.Multiply(
                count, width, to - from, weights + n * Rows + from, Rows, 1, x + from * width, width, sums + n * width, width, add: true);
        }
    }

    // One step of the online softmax: scores become weights, 0 where a key is hidden; max and sum of each query are updated, and rescale is
    // what earlier weighted sums must be multiplied by. True where any rescale is not 1.
    [MethodImpl(Lanes.Loop)]
    private static bool Softmax(in FlashMask mask, int padded, float* weights, float* factors, float* max, float* sum, float* rescale)
    {
        bool rescales = false;
        T hidden = T.Broadcast(float.NegativeInfinity), zero = T.Broadcast(0);
        for (int m = 0; m < padded; m += T.Count)
        {
            KeySegments segments = mask.SegmentsOf(m, T.Count);
            float* s = weights + m;
            T low = T.Load(mask.Low + m), high = T.Load(mask.High + m), most = T.Load(max + m), before = most;
            for (int n = segments.First; n < segments.WholeFirst; n++) most = T.MaxNative(Hide(s + n * Rows, n, low, high, hidden), most);
            T other = most;
            int i = segments.WholeFirst;
            for (; i < segments.WholeLast - 1; i += 2)
            {
                most = T.MaxNative(T.Load(s + i * Rows), most);
                other = T.MaxNative(T.Load(s + (i + 1) * Rows), other);
            }
            if (i < segments.WholeLast) most = T.MaxNative(T.Load(s + i * Rows), most);
            most = T.MaxNative(other, most);
            for (int n = segments.WholeLast; n < segments.Last; n++) most = T.MaxNative(Hide(s + n * Rows, n, low, high, hidden), most);

            T total = zero;
            for (int n = 0; n < segments.First; n++) T.Store(zero, s + n * Rows);
            if (factors is null)
            {
                for (int n = segments.First; n < segments.Last; n++)
                {
                    T weight = Exp2(T.Load(s + n * Rows) - most);
                    total += weight;
                    T.Store(weight, s + n * Rows);
                }
            }
            else
            {
                for (int n = segments.First; n < segments.Last; n++)
                {
                    T weight = Exp2(T.Load(s + n * Rows) - most);
                    total += weight;
                    T.Store(weight * T.Load(factors + n * Rows + m), s + n * Rows);
                }
            }
            for (int n = segments.Last; n < mask.Keys; n++) T.Store(zero, s + n * Rows);

            T factor = Exp2(before - most);
            rescales |= T.Sum(factor) != T.Count;
            T.Store(factor, rescale + m);
            T.Store(most, max + m);
            T.Store(T.MultiplyAdd(T.Load(sum + m), factor, total), sum + m);
        }
        return rescales;
    }

    // Scores become weights, and gradients of weights become those of scores, without the scale.
    [MethodImpl(Lanes.Loop)]
    private static void Differentiate(
        in FlashMask mask, int padded, float* weights, float* slopes, float* factors, float* logs, float* deltas)
    {
        T hidden = T.Broadcast(float.NegativeInfinity), zero = T.Broadcast(0);
        for (int m = 0; m < padded; m += T.Count)
        {
            KeySegments segments = mask.SegmentsOf(m, T.Count);
            float* s = weights + m, g = slopes + m;
            T low = T.Load(mask.Low + m), high = T.Load(mask.High + m), log = T.Load(logs + m), delta = T.Load(deltas + m);
            for (int n = segments.First; n < segments.WholeFirst; n++)
            {
                Hide(s + n * Rows, n, low, high, hidden);
                Hide(g + n * Rows, n, low, high, zero);
            }
            for (int n = segments.WholeLast; n < segments.Last; n++)
            {
                Hide(s + n * Rows, n, low, high, hidden);
                Hide(g + n * Rows, n, low, high, zero);
            }
            for (int n = 0; n < segments.First; n++) Erase(s + n * Rows, g + n * Rows, zero);
            if (factors is null)
            {
                for (int n = segments.First; n < segments.Last; n++)
                {
                    T weight = Exp2(T.Load(s + n * Rows) - log);
                    T.Store(weight, s + n * Rows);
                    T.Store(weight * (T.Load(g + n * Rows) - delta), g + n * Rows);
                }
            }
            else
            {
                for (int n = segments.First; n < segments.Last; n++)
                {
                    T weight = Exp2(T.Load(s + n * Rows) - log), factor = T.Load(factors + n * Rows + m);
                    T.Store(weight * factor, s + n * Rows);
                    T.Store(weight * (T.Load(g + n * Rows) * factor - delta), g + n * Rows);
                }
            }
            for (int n = segments.Last; n < mask.Keys; n++) Erase(s + n * Rows, g + n * Rows, zero);
        }
    }

    // Keeps what is there where low ≤ n < high and replaces it elsewhere.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Hide(float* at, int n, T low, T high, T replacement)
    {
        T number = T.Broadcast(n);
        T visible = T.SelectLess(number, low, replacement, T.SelectLess(number, high, T.Load(at), replacement));
        T.Store(visible, at);
        return visible;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Erase(float* s, float* g, T zero)
    {
        T.Store(zero, s);
        T.Store(zero, g);
    }

    // 2^x for x up to 127, to about one ulp (Cephes' exp2f); 0 below −126.5, NaN for NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Exp2(T x)
    {
        T round = T.Broadcast(12582912f + 127); // adding 1.5·2²³ rounds to an integer; 127 is the exponent of 1
        x = T.MaxNative(T.Broadcast(-127), x);
        T shifted = x + round, r = x - (shifted - round);
        T p = T.MultiplyAdd(T.Broadcast(1.535336188319500e-4f), r, T.Broadcast(1.339887440266574e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(9.618437357674640e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(5.550332471162809e-2f));
        p = T.MultiplyAdd(p, r, T.Broadcast(2.402264791363012e-1f));
        p = T.MultiplyAdd(p, r, T.Broadcast(6.931472028550421e-1f));
        return T.MultiplyAdd(p, r, T.Broadcast(1)) * T.ExponentFromBits(shifted, 0);
    }

    private static void Clear(float* numbers, long count) => NativeMemory.Clear(numbers, (nuint)count * sizeof(float));

    /// <summary>Scratch memory of up to 64 queries and 64 keys.</summary>
    private struct Tile
    {
        public float* Query, QueryRows; // scaled queries (D, 64), and unscaled ones (64, D)
        public float* OutGradient, OutGradientRows; // gradients of results, (D, 64) and (64, D)
        public float* Weights, Slopes, Factors; // scores, then weights, and their gradients, (64 keys, 64 queries); dropout's factors
        public float* Sums; // sums over keys, (64, D): results, or gradients of queries
    }
}
