// Shapes: B batch, T queries, S keys, H query heads, G key-value heads, D width of a head.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Kernels;

/// <summary>Where the rows of heads lie: those of a (B, N, T, D) tensor whose last dimension lies side by side.</summary>
internal readonly unsafe struct HeadRows(void* data, long ofBatch, long ofHead, long ofRow, bool rounded)
{
    /// <summary>Copies rows of one head, as float32.</summary>
    /// <param name="batch">Which sequence.</param>
    /// <param name="head">Which head of it.</param>
    /// <param name="first">The first row.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="width">D.</param>
    /// <param name="to">(rows, D)</param>
    public void Load<T>(long batch, long head, long first, long rows, int width, float* to) where T : unmanaged, ILanes<T>
    {
        if (rounded) Load<T, StoredBFloat16>(batch * ofBatch + head * ofHead + first * ofRow, rows, width, to);
        else Load<T, StoredFloat32>(batch * ofBatch + head * ofHead + first * ofRow, rows, width, to);
    }

    /// <summary>Writes rows of one head, each number times a factor.</summary>
    public void Store<T>(long batch, long head, long first, long rows, int width, float* from, float factor) where T : unmanaged, ILanes<T>
    {
        if (rounded) Store<T, StoredBFloat16>(batch * ofBatch + head * ofHead + first * ofRow, rows, width, from, factor);
        else Store<T, StoredFloat32>(batch * ofBatch + head * ofHead + first * ofRow, rows, width, from, factor);
    }

    /// <summary>Writes rows of one head, each times its own factor.</summary>
    public void Store<T>(long batch, long head, long first, long rows, int width, float* from, float* factors)
        where T : unmanaged, ILanes<T>
    {
        for (long row = 0; row < rows; row++) Store<T>(batch, head, first + row, 1, width, from + row * width, factors[row]);
    }

    /// <summary>Asks for rows of one head that will be read soon, so that they are on their way to a cache.</summary>
    [MethodImpl(Lanes.Loop)]
    public void Prefetch(long batch, long head, long first, long rows, int width)
    {
        if (!Sse.IsSupported || !FlashSwitch.On) return;
        long size = rounded ? sizeof(ushort) : sizeof(float), bytes = width * size;
        byte* row = (byte*)data + (batch * ofBatch + head * ofHead + first * ofRow) * size;
        for (; rows > 0; rows--, row += ofRow * size)
            for (long line = 0; line < bytes; line += 64) Sse.Prefetch1(row + line);
    }

    [MethodImpl(Lanes.Loop)]
    private void Load<T, TStored>(long at, long rows, int width, float* to) where T : unmanaged, ILanes<T> where TStored : IStored
    {
        for (long row = 0; row < rows; row++, at += ofRow, to += width)
            for (int d = 0; d < width; d += T.Count) T.Store(TStored.Load<T>(data, at + d), to + d);
    }

    [MethodImpl(Lanes.Loop)]
    private void Store<T, TStored>(long at, long rows, int width, float* from, float factor)
        where T : unmanaged, ILanes<T> where TStored : IStored
    {
        T times = T.Broadcast(factor);
        for (long row = 0; row < rows; row++, at += ofRow, from += width)
            for (int d = 0; d < width; d += T.Count) TStored.Store(T.Load(from + d) * times, data, at + d);
    }
}

/// <summary>One call of flash attention: what it reads and writes.</summary>
internal unsafe struct FlashCall
{
    public HeadRows Query, Key, Value, Out, OutGradient, QueryGradient, KeyGradient, ValueGradient;

    /// <summary>(B, H, T): the logarithms, to base 2, of the sums of the softmax, 0 where nothing is seen; null where no backward pass
    /// needs them.</summary>
    public float* Log;

    public long Batch, Heads, Groups, Queries, Keys;
    public int Width;
    public float Scale;

    /// <summary>Query i sees the keys j with i − before &lt; j ≤ i + after.</summary>
    public long Before, After;

    /// <summary>(B, T, 2): the keys [from, to) of each query's document; null where all are of one.</summary>
    public int* Documents;

    /// <summary>(…, T, W), of <see cref="RotaryAngles"/>; null where nothing is turned.</summary>
    public float* Angles;

    public long AnglesOfBatch, AnglesOfRow;
    public int Turned;
    public bool Interleaved;
    public DropoutFactors Dropout;

    /// <summary>Tasks that the queries of a key-value head are shared out to in the forward pass.</summary>
    public long Parts;
}

/// <summary>Flash attention (Dao et al. 2022, arXiv 2205.14135) of heads, tile by tile: scores stand keys by queries, so a lane of a vector
/// is a query, and what the softmax finds of each query needs no sum across lanes. Everything is float32.</summary>
/// <remarks>What no query of a tile sees is not computed. The result of a query, and every gradient, is summed up in the order of keys and
/// queries, whatever is computed beside it.</remarks>
/// <typeparam name="T">The vectors.</typeparam>
internal static unsafe class FlashLoops<T> where T : unmanaged, ILanes<T>
{
    // Of a tile of scores; 64 keys are what the counters of dropout decide on together.
    private const int Rows = 64, Keys = DropoutFactors.Block;

    private const float Log2E = 1.44269504088896341f;

    /// <summary>Attends, tasks [begin, end) of B·G·Parts.</summary>
    public static void Forward(in FlashCall call, long begin, long end)
    {
        int width = call.Width;
        long tiles = (call.Queries + Rows - 1) / Rows, sharing = call.Heads / call.Groups, packed = -1;
        using Scratch scratch = new(2 * call.Keys * width + 2 * Rows * width + 2 * Rows * Keys + Sight.Room, arrays: 7);
        float* key = scratch.Take(call.Keys * width), value = scratch.Take(call.Keys * width);
        Tile tile = new() { Query = scratch.Take(Rows * width), Sums = scratch.Take(Rows * width), Weights = scratch.Take(Rows * Keys),
            Factors = scratch.Take(Rows * Keys) };
        Sight sight = new(scratch.Take(Sight.Room));
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
                Forward(call, batch, group * sharing + unit / tiles, unit % tiles * Rows, key, value, tile, ref sight);
            }
        }
    }

    /// <summary>The gradients, tasks [begin, end) of B·G: all query heads that share a key-value head add to its gradients in
    /// turn.</summary>
    public static void Backward(in FlashCall call, long begin, long end)
    {
        int width = call.Width;
        long sharing = call.Heads / call.Groups, numbers = call.Keys * width;
        using Scratch scratch = new(4 * numbers + 5 * Rows * width + 3 * Rows * Keys + Sight.Room, arrays: 13);
        float* key = scratch.Take(numbers), value = scratch.Take(numbers), keyGradient = scratch.Take(numbers),
            valueGradient = scratch.Take(numbers);
        Tile tile = new()
        {
            Query = scratch.Take(Rows * width), Sums = scratch.Take(Rows * width), Weights = scratch.Take(Rows * Keys),
                Factors = scratch.Take(Rows * Keys),
            QueryRows = scratch.Take(Rows * width), OutGradient = scratch.Take(Rows * width), OutGradientRows = scratch.Take(Rows * width),
                Slopes = scratch.Take(Rows * Keys),
        };
        Sight sight = new(scratch.Take(Sight.Room));
        for (long task = begin; task < end; task++)
        {
            long batch = task / call.Groups, group = task % call.Groups;
            Pack(call, batch, group, key, value);
            Clear(keyGradient, numbers);
            Clear(valueGradient, numbers);
            for (long head = group * sharing; head < (group + 1) * sharing; head++)
                for (long query = 0; query < call.Queries; query += Rows)
                    Backward(call, batch, head, query, key, value, keyGradient, valueGradient, tile, ref sight);
            Turn(call, batch, 0, call.Keys, keyGradient, backwards: true);
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
        in FlashCall call, long batch, long head, long query, float* key, float* value, in Tile tile, ref Sight sight)
    {
        int rows = (int)Math.Min(Rows, call.Queries - query), width = call.Width, padded = Padded(rows);
        float* top = stackalloc float[Rows], sum = stackalloc float[Rows], fade = stackalloc float[Rows];
        new Span<float>(top, Rows).Fill(float.MinValue);
        new Span<float>(sum, Rows).Clear();
        call.Query.Load<T>(batch, head, query, rows, width, tile.Sums);
        Turn(call, batch, query, rows, tile.Sums, backwards: false);
        Transpose(tile.Sums, rows, padded, width, call.Scale * Log2E, tile.Query);
        Clear(tile.Sums, rows * width);
        sight.Begin(call, batch, query, rows);
        bool any = false;
        for (long at = sight.First / Keys * Keys; at < sight.Last; at += Keys)
        {
            int keys = (int)Math.Min(Keys, call.Keys - at);
            if (!sight.Look(at, keys)) continue;
            float* factors = null;
            if (call.Dropout.Drops)
            {
                factors = tile.Factors;
                call.Dropout.FillColumns(call.Dropout.List(batch, call.Heads, head), (uint)query, rows, (uint)(at / Keys), factors, Rows);
            }
            Scores(sight, padded, width, key + at * width, tile.Query, tile.Weights);
            bool fades = Softmax(sight, padded, tile.Weights, factors, top, sum, fade);
            if (any && fades) Fade(rows, width, fade, tile.Sums);
            any = true;
            AddRows(sight, width, tile.Weights, value + at * width, tile.Sums);
        }
        if (call.Log is not null)
        {
            float* log = call.Log + (batch * call.Heads + head) * call.Queries + query;
            for (int m = 0; m < rows; m++) log[m] = sum[m] == 0 ? 0 : top[m] + MathF.Log2(sum[m]);
        }
        for (int m = 0; m < rows; m++) sum[m] = sum[m] == 0 ? 0 : 1 / sum[m];
        call.Out.Store<T>(batch, head, query, rows, width, tile.Sums, sum);
    }

    private static void Backward(
        in FlashCall call, long batch, long head, long query, float* key, float* value, float* keyGradient, float* valueGradient,
            in Tile tile, ref Sight sight)
    {
        int rows = (int)Math.Min(Rows, call.Queries - query), width = call.Width, padded = Padded(rows);
        float* log = stackalloc float[Rows], delta = stackalloc float[Rows];
        new Span<float>(log, Rows).Clear();
        new Span<float>(delta, Rows).Clear();
        new ReadOnlySpan<float>(call.Log + (batch * call.Heads + head) * call.Queries + query, rows).CopyTo(new(log, Rows));
        call.Query.Load<T>(batch, head, query, rows, width, tile.QueryRows);
        Turn(call, batch, query, rows, tile.QueryRows, backwards: false);
        Transpose(tile.QueryRows, rows, padded, width, call.Scale * Log2E, tile.Query);
        call.OutGradient.Load<T>(batch, head, query, rows, width, tile.OutGradientRows);
        Transpose(tile.OutGradientRows, rows, padded, width, 1, tile.OutGradient);
        call.Out.Load<T>(batch, head, query, rows, width, tile.Sums);
        for (int m = 0; m < rows; m++) delta[m] = Dot(tile.Sums + m * width, tile.OutGradientRows + m * width, width);
        Clear(tile.Sums, rows * width);
        sight.Begin(call, batch, query, rows);
        for (long at = sight.First / Keys * Keys; at < sight.Last; at += Keys)
        {
            int keys = (int)Math.Min(Keys, call.Keys - at);
            if (!sight.Look(at, keys)) continue;
            float* factors = null;
            if (call.Dropout.Drops)
            {
                factors = tile.Factors;
                call.Dropout.FillColumns(call.Dropout.List(batch, call.Heads, head), (uint)query, rows, (uint)(at / Keys), factors, Rows);
            }
            Scores(sight, padded, width, key + at * width, tile.Query, tile.Weights);
            Scores(sight, padded, width, value + at * width, tile.OutGradient, tile.Slopes);
            Differentiate(sight, padded, tile.Weights, tile.Slopes, factors, log, delta);
            AddKeys(sight, width, tile.Weights, tile.OutGradientRows, valueGradient + at * width);
            AddKeys(sight, width, tile.Slopes, tile.QueryRows, keyGradient + at * width);
            AddRows(sight, width, tile.Slopes, key + at * width, tile.Sums);
        }
        Turn(call, batch, query, rows, tile.Sums, backwards: true);
        call.QueryGradient.Store<T>(batch, head, query, rows, width, tile.Sums, call.Scale);
    }

    // Keys and values side by side, keys turned.
    private static void Pack(in FlashCall call, long batch, long group, float* key, float* value)
    {
        call.Key.Load<T>(batch, group, 0, call.Keys, call.Width, key);
        Turn(call, batch, 0, call.Keys, key, backwards: false);
        call.Value.Load<T>(batch, group, 0, call.Keys, call.Width, value);
    }

    // Whole blocks of two vectors.
    private static int Padded(int rows) => (rows + 2 * T.Count - 1) / (2 * T.Count) * (2 * T.Count);

    // scores (keys, rows) = x (keys, D) · y (D, rows), where any row sees any key.
    private static void Scores(in Sight sight, int padded, int width, float* x, float* y, float* scores)
    {
        for (int n = 0; n < sight.Keys; n += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, sight.Keys - n), from = 0, to = padded;
            if (!sight.Whole) (from, to) = (
                sight.RowFrom[n] / (2 * T.Count) * (2 * T.Count), Math.Min(padded, Padded(sight.RowTo[n + count - 1])));
            if (from < to) TileProduct<T>.Multiply(
                count, to - from, width, x + n * width, width, 1, y + from, Rows, scores + n * Rows + from, Rows, add: false);
        }
    }

    // sums (rows, D) += weights (keys, rows)ᵀ · x (keys, D)
    private static void AddRows(in Sight sight, int width, float* weights, float* x, float* sums)
    {
        for (int m = 0; m < sight.Rows; m += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, sight.Rows - m);
            (int from, int to) = sight.KeysOf(m, count);
            if (from < to) TileProduct<T>.Multiply(
                count, width, to - from, weights + from * Rows + m, 1, Rows, x + from * width, width, sums + m * width, width, add: true);
        }
    }

    // sums (keys, D) += weights (keys, rows) · x (rows, D)
    private static void AddKeys(in Sight sight, int width, float* weights, float* x, float* sums)
    {
        for (int n = 0; n < sight.Keys; n += TileProduct<T>.Rows)
        {
            int count = Math.Min(TileProduct<T>.Rows, sight.Keys - n), from = 0, to = sight.Rows;
            if (!sight.Whole) (from, to) = (sight.RowFrom[n], sight.RowTo[n + count - 1]);
            if (from < to) TileProduct<T>.Multiply(
                count, width, to - from, weights + n * Rows + from, Rows, 1, x + from * width, width, sums + n * width, width, add: true);
        }
    }

    // Scores become weights, 0 where a query does not see a key; top and sum of each query follow, and what was summed up before fades by a
    // factor. Whether any does.
    [MethodImpl(Lanes.Loop)]
    private static bool Softmax(in Sight sight, int padded, float* weights, float* factors, float* top, float* sum, float* fade)
    {
        bool fades = false;
        T blind = T.Broadcast(float.NegativeInfinity), zero = T.Broadcast(0);
        for (int m = 0; m < padded; m += T.Count)
        {
            Segments segments = sight.SegmentsOf(m, T.Count);
            float* s = weights + m;
            T low = T.Load(sight.Low + m), high = T.Load(sight.High + m), most = T.Load(top + m), before = most;
            for (int n = segments.First; n < segments.WholeFirst; n++) most = T.MaxNative(Hide(s + n * Rows, n, low, high, blind), most);
            T other = most;
            int i = segments.WholeFirst;
            for (; i < segments.WholeLast - 1; i += 2)
            {
                most = T.MaxNative(T.Load(s + i * Rows), most);
                other = T.MaxNative(T.Load(s + (i + 1) * Rows), other);
            }
            if (i < segments.WholeLast) most = T.MaxNative(T.Load(s + i * Rows), most);
            most = T.MaxNative(other, most);
            for (int n = segments.WholeLast; n < segments.Last; n++) most = T.MaxNative(Hide(s + n * Rows, n, low, high, blind), most);

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
            for (int n = segments.Last; n < sight.Keys; n++) T.Store(zero, s + n * Rows);

            T fading = Exp2(before - most);
            fades |= T.Sum(fading) != T.Count;
            T.Store(fading, fade + m);
            T.Store(most, top + m);
            T.Store(T.MultiplyAdd(T.Load(sum + m), fading, total), sum + m);
        }
        return fades;
    }

    // Scores become weights, and the gradients of weights those of scores, without the scale.
    [MethodImpl(Lanes.Loop)]
    private static void Differentiate(in Sight sight, int padded, float* weights, float* slopes, float* factors, float* logs, float* deltas)
    {
        T blind = T.Broadcast(float.NegativeInfinity), zero = T.Broadcast(0);
        for (int m = 0; m < padded; m += T.Count)
        {
            Segments segments = sight.SegmentsOf(m, T.Count);
            float* s = weights + m, g = slopes + m;
            T low = T.Load(sight.Low + m), high = T.Load(sight.High + m), log = T.Load(logs + m), delta = T.Load(deltas + m);
            for (int n = segments.First; n < segments.WholeFirst; n++)
            {
                Hide(s + n * Rows, n, low, high, blind);
                Hide(g + n * Rows, n, low, high, zero);
            }
            for (int n = segments.WholeLast; n < segments.Last; n++)
            {
                Hide(s + n * Rows, n, low, high, blind);
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
            for (int n = segments.Last; n < sight.Keys; n++) Erase(s + n * Rows, g + n * Rows, zero);
        }
    }

    // What stands there where low ≤ n < high, else what it is hidden by.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Hide(float* at, int n, T low, T high, T by)
    {
        T number = T.Broadcast(n), seen = T.SelectLess(number, low, by, T.SelectLess(number, high, T.Load(at), by));
        T.Store(seen, at);
        return seen;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Erase(float* s, float* g, T zero)
    {
        T.Store(zero, s);
        T.Store(zero, g);
    }

    // 2^x for x up to 127, to about an ulp (Cephes' exp2f); 0 below −126.5, NaN of NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Exp2(T x)
    {
        T round = T.Broadcast(12582912f + 127); // 1.5·2²³, adding which rounds to an integer, and the exponent of 1
        x = T.MaxNative(T.Broadcast(-127), x);
        T shifted = x + round, r = x - (shifted - round);
        T p = T.MultiplyAdd(T.Broadcast(1.535336188319500e-4f), r, T.Broadcast(1.339887440266574e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(9.618437357674640e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(5.550332471162809e-2f));
        p = T.MultiplyAdd(p, r, T.Broadcast(2.402264791363012e-1f));
        p = T.MultiplyAdd(p, r, T.Broadcast(6.931472028550421e-1f));
        return T.MultiplyAdd(p, r, T.Broadcast(1)) * T.ExponentFromBits(shifted, 0);
    }

    [MethodImpl(Lanes.Loop)]
    private static void Fade(int rows, int width, float* fade, float* sums)
    {
        for (int m = 0; m < rows; m++)
        {
            if (fade[m] == 1) continue;
            T factor = T.Broadcast(fade[m]);
            float* row = sums + m * width;
            for (int d = 0; d < width; d += T.Count) T.Store(T.Load(row + d) * factor, row + d);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static float Dot(float* a, float* b, int width)
    {
        T total = T.Broadcast(0);
        for (int d = 0; d < width; d += T.Count) total = T.MultiplyAdd(T.Load(a + d), T.Load(b + d), total);
        return T.Sum(total);
    }

    private static void Clear(float* numbers, long count) => NativeMemory.Clear(numbers, (nuint)count * sizeof(float));

    // Turns pairs of numbers of each row by the angle of its position, or back.
    private static void Turn(in FlashCall call, long batch, long first, long rows, float* x, bool backwards)
    {
        if (call.Angles is null) return;
        float* angles = call.Angles + batch * call.AnglesOfBatch + first * call.AnglesOfRow;
        for (long row = 0; row < rows; row++, x += call.Width, angles += call.AnglesOfRow)
        {
            if (call.Interleaved) TurnNeighbours(x, angles, call.Turned, backwards ? -1 : 1);
            else TurnHalves(x, angles, call.Turned / 2, backwards ? -1 : 1);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void TurnHalves(float* x, float* angles, int half, float sign)
    {
        int i = 0;
        T signs = T.Broadcast(sign);
        for (; i <= half - T.Count; i += T.Count)
        {
            T a = T.Load(x + i), b = T.Load(x + half + i), cos = T.Load(angles + i), sin = T.Load(angles + 3 * half + i) * signs;
            T.Store(a * cos - b * sin, x + i);
            T.Store(b * cos + a * sin, x + half + i);
        }
        for (; i < half; i++)
        {
            (float a, float b, float cos, float sin) = (x[i], x[half + i], angles[i], sign * angles[3 * half + i]);
            (x[i], x[half + i]) = (a * cos - b * sin, b * cos + a * sin);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void TurnNeighbours(float* x, float* angles, int turned, float sign)
    {
        for (int i = 0; i < turned; i += 2)
        {
            (float a, float b, float cos, float sin) = (x[i], x[i + 1], angles[i], sign * angles[i + 1]);
            (x[i], x[i + 1]) = (a * cos - b * sin, b * cos + a * sin);
        }
    }

    // x (rows, D) → factor·xᵀ (D, 64), with zeros for the rows up to padded. Rows of x up to there are written too.
    [MethodImpl(Lanes.Loop)]
    private static void Transpose(float* x, int rows, int padded, int width, float factor, float* to)
    {
        Clear(x + rows * width, (padded - rows) * width);
        Vector128<float> times = Vector128.Create(factor);
        for (int m = 0; m < padded; m += 4)
        {
            float* a = x + m * width, b = a + width, c = b + width, d = c + width, target = to + m;
            for (int i = 0; i < width; i += 4, target += 4 * Rows)
            {
                Vector128<float> first = Vector128.Load(a + i) * times, second = Vector128.Load(b + i) * times;
                Vector128<float> third = Vector128.Load(c + i) * times, fourth = Vector128.Load(d + i) * times;
                Vector128<double> upper = ZipLow(first, second).AsDouble(), lower = ZipLow(third, fourth).AsDouble();
                ZipLow(upper, lower).AsSingle().Store(target);
                ZipHigh(upper, lower).AsSingle().Store(target + Rows);
                (upper, lower) = (ZipHigh(first, second).AsDouble(), ZipHigh(third, fourth).AsDouble());
                ZipLow(upper, lower).AsSingle().Store(target + 2 * Rows);
                ZipHigh(upper, lower).AsSingle().Store(target + 3 * Rows);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipLow(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackLow(a, b) : AdvSimd.Arm64.IsSupported
            ? AdvSimd.Arm64.ZipLow(a, b) : Vector128.Create(a[0], b[0], a[1], b[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipHigh(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackHigh(a, b) : AdvSimd.Arm64.IsSupported
            ? AdvSimd.Arm64.ZipHigh(a, b) : Vector128.Create(a[2], b[2], a[3], b[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> ZipLow(Vector128<double> a, Vector128<double> b) =>
        Sse2.IsSupported ? Sse2.UnpackLow(a, b) : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(a, b) : Vector128.Create(a[0], b[0]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<double> ZipHigh(Vector128<double> a, Vector128<double> b) =>
        Sse2.IsSupported ? Sse2.UnpackHigh(a, b) : AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipHigh(a, b) : Vector128.Create(a[1], b[1]);

    /// <summary>What is computed of up to 64 queries and 64 keys.</summary>
    private struct Tile
    {
        /// <summary>Queries times the scale, (D, 64); as they are, (64, D).</summary>
        public float* Query, QueryRows;

        /// <summary>Gradients of results, (D, 64) and (64, D).</summary>
        public float* OutGradient, OutGradientRows;

        /// <summary>Scores, then weights, and their gradients, (64 keys, 64 queries); what dropout multiplies weights with.</summary>
        public float* Weights, Slopes, Factors;

        /// <summary>Sums over keys, (64, D): results, or gradients of queries.</summary>
        public float* Sums;
    }

    /// <summary>Of the keys of a tile those that some queries see, [First, Last), and those that all of them see, [WholeFirst,
    /// WholeLast).</summary>
    private readonly record struct Segments(int First, int WholeFirst, int WholeLast, int Last);

    /// <summary>Who sees whom in a tile.</summary>
    private struct Sight
    {
        /// <summary>Numbers of scratch memory.</summary>
        public const int Room = 10 * FlashLoops<T>.Rows;

        /// <summary>The keys [Low, High) of the tile that each query sees, as numbers to compare lanes with.</summary>
        public readonly float* Low, High;

        /// <summary>The queries [RowFrom, RowTo) among which all those are that see a key.</summary>
        public readonly int* RowFrom, RowTo;

        // The keys that each query sees, [from, to), and those that the tile has of them.
        private readonly long* from, to;
        private readonly int* low, high;
        private long lastFrom, firstTo;

        public Sight(float* memory)
        {
            const int Length = FlashLoops<T>.Rows;
            Low = memory;
            High = memory + Length;
            RowFrom = (int*)(memory + 2 * Length);
            RowTo = (int*)(memory + 3 * Length);
            low = (int*)(memory + 4 * Length);
            high = (int*)(memory + 5 * Length);
            from = (long*)(memory + 6 * Length);
            to = (long*)(memory + 8 * Length);
        }

        /// <summary>Queries and keys of the tile.</summary>
        public int Rows { get; private set; }

        public int Keys { get; private set; }

        /// <summary>Whether every query sees every key.</summary>
        public bool Whole { get; private set; }

        /// <summary>Among [First, Last) are all the keys that any of the queries sees.</summary>
        public long First { get; private set; }

        public long Last { get; private set; }

        /// <summary>Turns to the queries [query, query + rows) of a sequence.</summary>
        public void Begin(in FlashCall call, long batch, long query, int rows)
        {
            int* document = call.Documents is null ? null : call.Documents + 2 * (batch * call.Queries + query);
            (Rows, First, Last, lastFrom, firstTo) = (rows, call.Keys, 0, 0, call.Keys);
            for (int m = 0; m < FlashLoops<T>.Rows; m++)
            {
                long i = query + Math.Min(m, rows - 1); // lanes without a query see what the last query sees
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

        /// <summary>Turns to the keys [at, at + keys); false where no query sees any of them.</summary>
        public bool Look(long at, int keys)
        {
            Keys = keys;
            Whole = lastFrom <= at && firstTo >= at + keys;
            if (Whole) return true;
            bool any = false;
            for (int m = 0; m < FlashLoops<T>.Rows; m++)
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

        /// <summary>Keys among which all those are that some queries see.</summary>
        public readonly (int From, int To) KeysOf(int row, int count)
        {
            if (Whole) return (0, Keys);
            (int first, int last) = (low[row], high[row]);
            for (int m = row + 1; m < row + count; m++) (first, last) = (Math.Min(first, low[m]), Math.Max(last, high[m]));
            return (first, last);
        }

        public readonly Segments SegmentsOf(int row, int count)
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
}

internal static class FlashSwitch { public static bool On; }
