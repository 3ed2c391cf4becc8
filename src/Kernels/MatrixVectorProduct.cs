// Shapes: weight (N, K), x (B, K), y (B, N).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A matrix (Outputs, Inputs) that is multiplied with a few vectors, in the tensor's own memory: contiguous rows of float32,
/// bfloat16, or int8 for blocks of 8 bits (<see cref="BlockQuantization"/>); the bias may be null.</summary>
internal readonly unsafe record struct VectorMatrix(nint Weight, ScalarType Type, long Outputs, long Inputs, nint Bias)
{
    /// <summary>The same weight packed for a <see cref="PanelProduct"/>; null where it is not.</summary>
    public nint Panels { get; init; }

    public long RowBytes => Type switch
    {
        ScalarType.Float32 => Inputs * 4,
        ScalarType.BFloat16 => Inputs * 2,
        ScalarType.Int8 => BlockQuantization.Bytes(Inputs),
        _ => throw new ArgumentException($"A matrix is float32, bfloat16 or int8, not {Type}."),
    };
}

/// <summary>Products of a matrix with a few vectors in the time of reading the matrix: each weight is read from memory once.</summary>
/// <remarks>float32 sums in an order that depends on K alone: the same bits for any number of threads, and for each vector whatever others
/// are beside it.</remarks>
internal static unsafe class MatrixVectorProduct
{
    // Rows taken at once: enough sums to hide the latency of additions, few enough streams for the prefetcher.
    private const int RowsAtOnce = 4;

    // In bytes: a cache line; the most that rows prefetched together may take; how far ahead they are at least, and longer rows are.
    private const int Line = 64, MostFetched = 16384, LeastAhead = 4096, AheadInRow = 1024;

    // Bytes of weights worth a second thread: they take as long to read as a thread to call.
    private const long Grain = 768 * 1024;

    // Weights, for each vector, worth a second thread of a team.
    private const long GrainOfTeam = 128 * 1024;

    /// <summary>y = or += weight·x + bias, (B, K) → (B, N). x is rounded (<see cref="Round"/>) if the weight is bfloat16; without a
    /// team, libtorch's threads share the work.</summary>
    public static void Multiply(VectorMatrix matrix, float* x, float* y, long batch, bool adds = false, ThreadTeam? team = null)
    {
        Rows loop = new(matrix, x, y, batch, adds);
        long groups = (matrix.Outputs + RowsAtOnce - 1) / RowsAtOnce;
        if (team is null) ParallelFor.Run(groups, Math.Max(1, Grain / (RowsAtOnce * matrix.RowBytes)), loop);
        else team.For(groups, Math.Max(1, GrainOfTeam / (RowsAtOnce * matrix.Inputs * batch)), (begin, end) => Lanes.Run(loop, begin, end));
    }

    /// <summary>Whether a team's threads would share a product.</summary>
    public static bool IsWorthATeam(VectorMatrix matrix, long batch) => matrix.Outputs * matrix.Inputs * batch > GrainOfTeam;

    /// <summary>Rows [begin, end) of the product, on the calling thread.</summary>
    public static void Multiply(VectorMatrix matrix, float* x, float* y, long batch, bool adds, long begin, long end) =>
        Lanes.Run(new Rows(matrix with { Outputs = end }, x, y, batch, adds) { Stride = matrix.Outputs, First = begin }, 0,
            (end - begin + RowsAtOnce - 1) / RowsAtOnce);

    /// <summary>The whole product in vectors of one width, on the calling thread; rows of y lie <paramref name="stride"/> apart, N by
    /// default.</summary>
    internal static void Run<T>(VectorMatrix matrix, float* x, float* y, long batch, long? stride = null) where T : unmanaged, ILanes<T> =>
        new Rows(matrix, x, y, batch, adds: false) { Stride = stride ?? matrix.Outputs }
            .Run<T>(0, (matrix.Outputs + RowsAtOnce - 1) / RowsAtOnce);

    /// <summary>Rounds to bfloat16 but stores float32; <paramref name="to"/> may be <paramref name="x"/>.</summary>
    public static void Round(float* x, float* to, long count)
    {
        Lanes.Run(new RoundLoop(x, to), 0, count);
    }

    private readonly struct RoundLoop(float* x, float* to) : ILoop
    {
        public void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = end - (end - begin) % T.Count;
            Part<T>(x, to, begin, whole);
            Part<Lanes1>(x, to, whole, end);
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* x, float* to, long begin, long end) where T : unmanaged, ILanes<T>
        {
            ushort* bits = stackalloc ushort[T.Count];
            for (long i = begin; i < end; i += T.Count)
            {
                T.StoreBFloat16(T.Load(x + i), bits);
                T.Store(T.LoadBFloat16(bits), to + i);
            }
        }
    }

    // A loop over groups of RowsAtOnce rows.
    private readonly struct Rows(VectorMatrix matrix, float* x, float* y, long batch, bool adds) : ILoop
    {
        public long First { get; init; }

        public long Stride { get; init; } = matrix.Outputs;

        public void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            switch (matrix.Type)
            {
                case ScalarType.Float32: Run<T, PlainRow<StoredFloat32>>(begin, end); break;
                case ScalarType.BFloat16: Run<T, PlainRow<StoredBFloat16>>(begin, end); break;
                default: Run<T, BlockRow>(begin, end); break;
            }
        }

        private void Run<T, TRow>(long begin, long end) where T : unmanaged, ILanes<T> where TRow : IRow
        {
            long inputs = matrix.Inputs, bytes = matrix.RowBytes, whole = First + end * RowsAtOnce <= matrix.Outputs ? end : end - 1;
            float* sums = stackalloc float[8], vectors = x;
            using Scratch scratch = TRow.Arranges ? new(batch * inputs, 1) : default;
            if (TRow.Arranges)
            {
                vectors = scratch.Take(batch * inputs);
                for (long vector = 0; vector < batch; vector++) TRow.Arrange<T>(x + vector * inputs, vectors + vector * inputs, inputs);
            }
            if (batch == 1 && whole > begin)
            {
                long row = First + begin * RowsAtOnce;
                float* bias = matrix.Bias == 0 ? null : (float*)matrix.Bias + row;
                TRow.FourRows<T>((byte*)matrix.Weight + row * bytes, bytes, whole - begin, vectors, inputs, y + row, bias, adds);
                begin = whole;
            }
            long last = Math.Min(First + end * RowsAtOnce, matrix.Outputs);
            for (long row = First + begin * RowsAtOnce, count; row < last; row += count)
            {
                byte* weight = (byte*)matrix.Weight + row * bytes;
                count = Math.Min(2, last - row);
                long vector = 0;
                for (; batch - vector >= 4; vector += 4)
                {
                    // A single row is its own second one.
                    TRow.TwoRows<T>(weight, weight + (count - 1) * bytes, vectors + vector * inputs, inputs, sums);
                    for (long v = 0; v < 4 * count; v++) Give(sums[v], row + v / 4, vector + v % 4);
                }
                for (long one = 0; one < count; one++)
                    for (long v = vector; v < batch; v++)
                        Give(TRow.One<T>(weight + one * bytes, vectors + v * inputs, inputs), row + one, v);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Give(float sum, long row, long vector)
        {
            if (matrix.Bias != 0) sum += ((float*)matrix.Bias)[row];
            float* to = y + vector * Stride + row;
            *to = adds ? *to + sum : sum;
        }
    }

    // Prefetches lines in the order in which they lie in memory, whatever rows they belong to.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(byte* from, int bytes)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(from);
        if (bytes > Line) Sse.Prefetch0(from + Line);
        if (bytes > 2 * Line) Sse.Prefetch0(from + 2 * Line);
    }

    // Products of rows and vectors, each pair summed in the same order.
    private interface IRow
    {
        // Whether vectors are reordered first.
        static abstract bool Arranges { get; }

        static abstract void Arrange<T>(float* x, float* to, long inputs) where T : unmanaged, ILanes<T>;

        static abstract float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>;

        // Two rows by four vectors: (2, 4).
        static abstract void TwoRows<T>(byte* row, byte* second, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>;

        // Groups of four rows by one vector, written to y.
        static abstract void FourRows<T>(byte* rows, long bytes, long groups, float* x, long inputs, float* y, float* bias, bool adds)
            where T : unmanaged, ILanes<T>;
    }

    /// <summary>Contiguous elements, in two sums: of alternate vectors, or of even and odd elements.</summary>
    private readonly struct PlainRow<TStored> : IRow where TStored : IStored
    {
        public static bool Arranges => TStored.Interleaves;

        // In the order of the halves of stored elements.
        [MethodImpl(Lanes.Loop)]
        public static void Arrange<T>(float* x, float* to, long inputs) where T : unmanaged, ILanes<T>
        {
            long i = 0;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count)
            {
                T.Store(T.LoadEven(x + i), to + i);
                T.Store(T.LoadOdd(x + i), to + i + T.Count);
            }
            for (; i < inputs; i++) to[i] = x[i];
        }

        [MethodImpl(Lanes.Loop)]
        public static float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>
        {
            T a = T.Broadcast(0), b = a;
            long i = 0;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count)
            {
                a = T.MultiplyAdd(TStored.First<T>(row, i), T.Load(x + i), a);
                b = T.MultiplyAdd(TStored.Second<T>(row, i), T.Load(x + i + T.Count), b);
            }
            for (; i <= inputs - T.Count; i += T.Count) a = T.MultiplyAdd(TStored.Load<T>(row, i), T.Load(x + i), a);
            float sum = T.Sum(a + b);
            return i < inputs ? sum + Rest(row, x, i, inputs) : sum;
        }

        [MethodImpl(Lanes.Loop)]
        public static void FourRows<T>(byte* rows, long bytes, long groups, float* x, long inputs, float* y, float* bias, bool adds)
            where T : unmanaged, ILanes<T>
        {
            // Short rows: prefetch a later group, in memory order. Long ones: each row a little ahead of itself.
            int step = 2 * T.Count * TStored.Bytes;
            bool brief = RowsAtOnce * bytes <= MostFetched;
            long ahead = brief ? Math.Max(LeastAhead, RowsAtOnce * bytes) : AheadInRow;
            long between = brief ? step : bytes, advance = brief ? RowsAtOnce * step : step;
            for (byte* end = rows + groups * RowsAtOnce * bytes; rows < end; rows += RowsAtOnce * bytes, y += RowsAtOnce)
            {
                byte* a = rows, b = a + bytes, c = b + bytes, d = c + bytes;
                T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
                byte* fetched = a + ahead;
                long i = 0;
                for (; i <= inputs - 2 * T.Count; i += 2 * T.Count, fetched += advance)
                {
                    Fetch(fetched, step);
                    Fetch(fetched + between, step);
                    Fetch(fetched + 2 * between, step);
                    Fetch(fetched + 3 * between, step);
                    T x0 = T.Load(x + i), x1 = T.Load(x + i + T.Count);
                    a0 = T.MultiplyAdd(TStored.First<T>(a, i), x0, a0);
                    a1 = T.MultiplyAdd(TStored.Second<T>(a, i), x1, a1);
                    b0 = T.MultiplyAdd(TStored.First<T>(b, i), x0, b0);
                    b1 = T.MultiplyAdd(TStored.Second<T>(b, i), x1, b1);
                    c0 = T.MultiplyAdd(TStored.First<T>(c, i), x0, c0);
                    c1 = T.MultiplyAdd(TStored.Second<T>(c, i), x1, c1);
                    d0 = T.MultiplyAdd(TStored.First<T>(d, i), x0, d0);
                    d1 = T.MultiplyAdd(TStored.Second<T>(d, i), x1, d1);
                }
                for (; i <= inputs - T.Count; i += T.Count)
                {
                    T x0 = T.Load(x + i);
                    a0 = T.MultiplyAdd(TStored.Load<T>(a, i), x0, a0);
                    b0 = T.MultiplyAdd(TStored.Load<T>(b, i), x0, b0);
                    c0 = T.MultiplyAdd(TStored.Load<T>(c, i), x0, c0);
                    d0 = T.MultiplyAdd(TStored.Load<T>(d, i), x0, d0);
                }
                Vector128<float> sums = T.Sums(a0 + a1, b0 + b1, c0 + c1, d0 + d1);
                if (i < inputs)
                    sums += Vector128.Create(Rest(a, x, i, inputs), Rest(b, x, i, inputs), Rest(c, x, i, inputs), Rest(d, x, i, inputs));
                if (bias is not null)
                {
                    sums += Vector128.Load(bias);
                    bias += RowsAtOnce;
                }
                if (adds) sums = Vector128.Load(y) + sums;
                sums.Store(y);
            }
        }

        [MethodImpl(Lanes.Loop)]
        public static void TwoRows<T>(byte* row, byte* second, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            float* a = x, b = a + inputs, c = b + inputs, d = c + inputs;
            T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
            T e0 = a0, e1 = a0, f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0;
            int step = 2 * T.Count * TStored.Bytes;
            byte* fetched = second + (second - row) + (second - row); // the next two rows, in memory order
            long i = 0;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count, fetched += 2 * step)
            {
                Fetch(fetched, step);
                Fetch(fetched + step, step);
                T v0 = TStored.First<T>(row, i), v1 = TStored.Second<T>(row, i);
                T w0 = TStored.First<T>(second, i), w1 = TStored.Second<T>(second, i);
                T x0 = T.Load(a + i), x1 = T.Load(a + i + T.Count);
                a0 = T.MultiplyAdd(v0, x0, a0);
                a1 = T.MultiplyAdd(v1, x1, a1);
                e0 = T.MultiplyAdd(w0, x0, e0);
                e1 = T.MultiplyAdd(w1, x1, e1);
                x0 = T.Load(b + i);
                x1 = T.Load(b + i + T.Count);
                b0 = T.MultiplyAdd(v0, x0, b0);
                b1 = T.MultiplyAdd(v1, x1, b1);
                f0 = T.MultiplyAdd(w0, x0, f0);
                f1 = T.MultiplyAdd(w1, x1, f1);
                x0 = T.Load(c + i);
                x1 = T.Load(c + i + T.Count);
                c0 = T.MultiplyAdd(v0, x0, c0);
                c1 = T.MultiplyAdd(v1, x1, c1);
                g0 = T.MultiplyAdd(w0, x0, g0);
                g1 = T.MultiplyAdd(w1, x1, g1);
                x0 = T.Load(d + i);
                x1 = T.Load(d + i + T.Count);
                d0 = T.MultiplyAdd(v0, x0, d0);
                d1 = T.MultiplyAdd(v1, x1, d1);
                h0 = T.MultiplyAdd(w0, x0, h0);
                h1 = T.MultiplyAdd(w1, x1, h1);
            }
            for (; i <= inputs - T.Count; i += T.Count)
            {
                T v = TStored.Load<T>(row, i), w = TStored.Load<T>(second, i);
                a0 = T.MultiplyAdd(v, T.Load(a + i), a0);
                b0 = T.MultiplyAdd(v, T.Load(b + i), b0);
                c0 = T.MultiplyAdd(v, T.Load(c + i), c0);
                d0 = T.MultiplyAdd(v, T.Load(d + i), d0);
                e0 = T.MultiplyAdd(w, T.Load(a + i), e0);
                f0 = T.MultiplyAdd(w, T.Load(b + i), f0);
                g0 = T.MultiplyAdd(w, T.Load(c + i), g0);
                h0 = T.MultiplyAdd(w, T.Load(d + i), h0);
            }
            Vector128<float> first = T.Sums(a0 + a1, b0 + b1, c0 + c1, d0 + d1), other = T.Sums(e0 + e1, f0 + f1, g0 + g1, h0 + h1);
            if (i < inputs)
            {
                first += Rests(row, x, i, inputs);
                other += Rests(second, x, i, inputs);
            }
            first.Store(sums);
            other.Store(sums + 4);
        }

        // Of four vectors.
        private static Vector128<float> Rests(byte* row, float* x, long i, long inputs) => Vector128.Create(
            Rest(row, x, i, inputs), Rest(row, x + inputs, i, inputs), Rest(row, x + 2 * inputs, i, inputs),
            Rest(row, x + 3 * inputs, i, inputs));

        private static float Rest(byte* row, float* x, long i, long inputs)
        {
            Lanes1 sum = Lanes1.Broadcast(0);
            for (; i < inputs; i++) sum = Lanes1.MultiplyAdd(TStored.Load<Lanes1>(row, i), Lanes1.Load(x + i), sum);
            return Lanes1.Sum(sum);
        }
    }

    /// <summary>Blocks of 32: products with integers are summed within a block, then scaled.</summary>
    private readonly struct BlockRow : IRow
    {
        public static bool Arranges => false;

        public static void Arrange<T>(float* x, float* to, long inputs) where T : unmanaged, ILanes<T> => throw new NotSupportedException();

        private const int Length = BlockQuantization.BlockLength, Bytes = BlockQuantization.BlockBytes;

        [MethodImpl(Lanes.Loop)]
        public static float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>
        {
            T sum = T.Broadcast(0);
            for (byte* end = row + BlockQuantization.Bytes(inputs); row < end; row += Bytes, x += Length) sum = Add(row, x, sum);
            return T.Sum(sum);
        }

        [MethodImpl(Lanes.Loop)]
        public static void FourRows<T>(byte* rows, long bytes, long groups, float* x, long inputs, float* y, float* bias, bool adds)
            where T : unmanaged, ILanes<T>
        {
            long ahead = RowsAtOnce * bytes;
            for (byte* end = rows + groups * RowsAtOnce * bytes; rows < end; rows += RowsAtOnce * bytes, y += RowsAtOnce)
            {
                byte* a = rows, b = a + bytes, c = b + bytes, d = c + bytes;
                T sumA = T.Broadcast(0), sumB = sumA, sumC = sumA, sumD = sumA;
                byte* fetched = a + ahead;
                for (long i = 0; i < inputs; i += Length, a += Bytes, b += Bytes, c += Bytes, d += Bytes, fetched += RowsAtOnce * Bytes)
                {
                    Fetch(fetched, RowsAtOnce * Bytes);
                    sumA = Add(a, x + i, sumA);
                    sumB = Add(b, x + i, sumB);
                    sumC = Add(c, x + i, sumC);
                    sumD = Add(d, x + i, sumD);
                }
                Vector128<float> sums = T.Sums(sumA, sumB, sumC, sumD);
                if (bias is not null)
                {
                    sums += Vector128.Load(bias);
                    bias += RowsAtOnce;
                }
                if (adds) sums = Vector128.Load(y) + sums;
                sums.Store(y);
            }
        }

        [MethodImpl(Lanes.Loop)]
        public static void TwoRows<T>(byte* row, byte* second, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            float* a = x, b = a + inputs, c = b + inputs, d = c + inputs;
            T sumA = T.Broadcast(0), sumB = sumA, sumC = sumA, sumD = sumA, sumE = sumA, sumF = sumA, sumG = sumA, sumH = sumA;
            byte* fetched = second + (second - row) + (second - row); // the next two rows, in memory order
            for (long i = 0; i < inputs; row += Bytes, second += Bytes, fetched += 2 * Bytes)
            {
                Fetch(fetched, 2 * Bytes);
                sbyte* numbers = (sbyte*)row + 2, others = (sbyte*)second + 2;
                T v = T.LoadInt8(numbers), w = T.LoadInt8(others), y = T.Load(a + i);
                T partA = v * y, partE = w * y;
                y = T.Load(b + i);
                T partB = v * y, partF = w * y;
                y = T.Load(c + i);
                T partC = v * y, partG = w * y;
                y = T.Load(d + i);
                T partD = v * y, partH = w * y;
                i += T.Count;
                for (int n = T.Count; n < Length; n += T.Count, i += T.Count)
                {
                    v = T.LoadInt8(numbers + n);
                    w = T.LoadInt8(others + n);
                    y = T.Load(a + i);
                    partA = T.MultiplyAdd(v, y, partA);
                    partE = T.MultiplyAdd(w, y, partE);
                    y = T.Load(b + i);
                    partB = T.MultiplyAdd(v, y, partB);
                    partF = T.MultiplyAdd(w, y, partF);
                    y = T.Load(c + i);
                    partC = T.MultiplyAdd(v, y, partC);
                    partG = T.MultiplyAdd(w, y, partG);
                    y = T.Load(d + i);
                    partD = T.MultiplyAdd(v, y, partD);
                    partH = T.MultiplyAdd(w, y, partH);
                }
                T scale = T.Broadcast(BlockQuantization.Scale(row));
                sumA = T.MultiplyAdd(partA, scale, sumA);
                sumB = T.MultiplyAdd(partB, scale, sumB);
                sumC = T.MultiplyAdd(partC, scale, sumC);
                sumD = T.MultiplyAdd(partD, scale, sumD);
                scale = T.Broadcast(BlockQuantization.Scale(second));
                sumE = T.MultiplyAdd(partE, scale, sumE);
                sumF = T.MultiplyAdd(partF, scale, sumF);
                sumG = T.MultiplyAdd(partG, scale, sumG);
                sumH = T.MultiplyAdd(partH, scale, sumH);
            }
            T.Sums(sumA, sumB, sumC, sumD).Store(sums);
            T.Sums(sumE, sumF, sumG, sumH).Store(sums + 4);
        }

        // sum + a block's product; written out because the compiler would not unroll a loop.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T Add<T>(byte* block, float* x, T sum) where T : unmanaged, ILanes<T>
        {
            sbyte* numbers = (sbyte*)block + 2;
            T part = T.LoadInt8(numbers) * T.Load(x);
            part = T.MultiplyAdd(T.LoadInt8(numbers + T.Count), T.Load(x + T.Count), part);
            if (T.Count <= 8)
            {
                part = T.MultiplyAdd(T.LoadInt8(numbers + 2 * T.Count), T.Load(x + 2 * T.Count), part);
                part = T.MultiplyAdd(T.LoadInt8(numbers + 3 * T.Count), T.Load(x + 3 * T.Count), part);
            }
            if (T.Count <= 4)
            {
                part = T.MultiplyAdd(T.LoadInt8(numbers + 4 * T.Count), T.Load(x + 4 * T.Count), part);
                part = T.MultiplyAdd(T.LoadInt8(numbers + 5 * T.Count), T.Load(x + 5 * T.Count), part);
                part = T.MultiplyAdd(T.LoadInt8(numbers + 6 * T.Count), T.Load(x + 6 * T.Count), part);
                part = T.MultiplyAdd(T.LoadInt8(numbers + 7 * T.Count), T.Load(x + 7 * T.Count), part);
            }
            return T.MultiplyAdd(part, T.Broadcast(BlockQuantization.Scale(block)), sum);
        }
    }
}
