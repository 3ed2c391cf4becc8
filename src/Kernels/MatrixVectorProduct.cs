// Shapes: weight (N, K), x (B, K), y (B, N).
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A matrix that is multiplied with a few vectors: its numbers stay where the tensor has them.</summary>
/// <param name="Weight">(N, K): float32, bfloat16, or blocks of 8 bits (<see cref="BlockQuantization"/>), rows one after the other.</param>
/// <param name="Type">Which of them; int8 for blocks.</param>
/// <param name="Outputs">N</param>
/// <param name="Inputs">K</param>
/// <param name="Bias">(N), or null.</param>
internal readonly unsafe record struct VectorMatrix(nint Weight, ScalarType Type, long Outputs, long Inputs, nint Bias)
{
    /// <summary>Bytes of a row.</summary>
    public long RowBytes => Type switch
    {
        ScalarType.Float32 => Inputs * 4,
        ScalarType.BFloat16 => Inputs * 2,
        ScalarType.Int8 => BlockQuantization.Bytes(Inputs),
        _ => throw new ArgumentException($"A matrix is float32, bfloat16 or int8, not {Type}."),
    };
}

/// <summary>Products of a matrix with one or a few vectors, which take as long as reading the matrix: each weight is read from memory once.</summary>
/// <remarks>Sums are float32, in an order that depends on K alone: the same bits for any number of threads, and for each vector whatever others are beside it.</remarks>
internal static unsafe class MatrixVectorProduct
{
    // Rows that are taken at once: enough sums side by side for the latency of additions, few enough streams for the prefetcher.
    private const int RowsAtOnce = 4;

    // Bytes: of a line of the cache; of rows that are fetched ahead in themselves, and how far; of rows of blocks, how far.
    private const int Line = 64, LongRow = 8192, AheadInRow = 1024, AheadInBlocks = 2048;

    // Bytes of weights that are worth a second thread: they are read in the time that it takes to call one.
    private const long Grain = 768 * 1024;

    /// <summary>y = weight·x + bias, or adds it to y.</summary>
    /// <param name="matrix">The weight and its bias.</param>
    /// <param name="x">(B, K); where the weight is bfloat16, rounded to it (<see cref="Round"/>).</param>
    /// <param name="y">(B, N)</param>
    /// <param name="batch">B</param>
    /// <param name="adds">Whether y is added to.</param>
    public static void Multiply(VectorMatrix matrix, float* x, float* y, long batch, bool adds = false)
    {
        Rows loop = new(matrix, x, y, batch, adds);
        ParallelFor.Run((matrix.Outputs + RowsAtOnce - 1) / RowsAtOnce, Math.Max(1, Grain / (RowsAtOnce * matrix.RowBytes)), loop);
    }

    /// <summary>Some rows of the product, on this thread.</summary>
    public static void Multiply(VectorMatrix matrix, float* x, float* y, long batch, bool adds, long begin, long end) =>
        Lanes.Run(new Rows(matrix with { Outputs = end }, x, y, batch, adds) { Stride = matrix.Outputs, First = begin }, 0, (end - begin + RowsAtOnce - 1) / RowsAtOnce);

    /// <summary>The whole product in vectors of one width.</summary>
    internal static void Run<T>(VectorMatrix matrix, float* x, float* y, long batch) where T : unmanaged, ILanes<T> =>
        new Rows(matrix, x, y, batch, adds: false).Run<T>(0, (matrix.Outputs + RowsAtOnce - 1) / RowsAtOnce);

    /// <summary>Rounds numbers to bfloat16, and leaves them float32; <paramref name="to"/> may be <paramref name="x"/>.</summary>
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

    // A loop over groups of rows.
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
            float* sums = stackalloc float[4 * RowsAtOnce], bias = (float*)matrix.Bias;
            long inputs = matrix.Inputs, bytes = matrix.RowBytes;
            for (long group = begin; group < end; group++)
            {
                long row = First + group * RowsAtOnce, count = Math.Min(RowsAtOnce, matrix.Outputs - row), vector = 0;
                byte* weight = (byte*)matrix.Weight + row * bytes;
                for (; batch - vector >= 4; vector += 4)
                {
                    for (long r = 0; r < count; r++) TRow.FourVectors<T>(weight + r * bytes, x + vector * inputs, inputs, sums + 4 * r);
                    for (long v = 0; v < 4; v++)
                        for (long r = 0; r < count; r++) Give(sums[4 * r + v], row + r, vector + v);
                }
                for (; vector < batch; vector++)
                {
                    if (count == RowsAtOnce) TRow.FourRows<T>(weight, bytes, x + vector * inputs, inputs, sums);
                    else
                        for (long r = 0; r < count; r++) sums[r] = TRow.One<T>(weight + r * bytes, x + vector * inputs, inputs);
                    for (long r = 0; r < count; r++) Give(sums[r], row + r, vector);
                }
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

    /// <summary>Products of rows and vectors, each pair in the same order.</summary>
    private interface IRow
    {
        static abstract float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>;

        static abstract void FourRows<T>(byte* rows, long bytes, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>;

        static abstract void FourVectors<T>(byte* row, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>;
    }

    /// <summary>Numbers one after the other; two sums of every second vector each.</summary>
    private readonly struct PlainRow<TStored> : IRow where TStored : IStored
    {
        [MethodImpl(Lanes.Loop)]
        public static float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>
        {
            T even = T.Broadcast(0), odd = even;
            long i = 0;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count)
            {
                even = T.MultiplyAdd(TStored.Load<T>(row, i), T.Load(x + i), even);
                odd = T.MultiplyAdd(TStored.Load<T>(row, i + T.Count), T.Load(x + i + T.Count), odd);
            }
            for (; i <= inputs - T.Count; i += T.Count) even = T.MultiplyAdd(TStored.Load<T>(row, i), T.Load(x + i), even);
            return T.Sum(even + odd) + Rest(row, x, i, inputs);
        }

        [MethodImpl(Lanes.Loop)]
        public static void FourRows<T>(byte* rows, long bytes, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            byte* a = rows, b = a + bytes, c = b + bytes, d = c + bytes;
            T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
            long i = 0, ahead = bytes < LongRow ? RowsAtOnce * bytes : AheadInRow;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count)
            {
                Fetch<T>(a + ahead, i);
                Fetch<T>(b + ahead, i);
                Fetch<T>(c + ahead, i);
                Fetch<T>(d + ahead, i);
                T x0 = T.Load(x + i), x1 = T.Load(x + i + T.Count);
                a0 = T.MultiplyAdd(TStored.Load<T>(a, i), x0, a0);
                a1 = T.MultiplyAdd(TStored.Load<T>(a, i + T.Count), x1, a1);
                b0 = T.MultiplyAdd(TStored.Load<T>(b, i), x0, b0);
                b1 = T.MultiplyAdd(TStored.Load<T>(b, i + T.Count), x1, b1);
                c0 = T.MultiplyAdd(TStored.Load<T>(c, i), x0, c0);
                c1 = T.MultiplyAdd(TStored.Load<T>(c, i + T.Count), x1, c1);
                d0 = T.MultiplyAdd(TStored.Load<T>(d, i), x0, d0);
                d1 = T.MultiplyAdd(TStored.Load<T>(d, i + T.Count), x1, d1);
            }
            for (; i <= inputs - T.Count; i += T.Count)
            {
                T x0 = T.Load(x + i);
                a0 = T.MultiplyAdd(TStored.Load<T>(a, i), x0, a0);
                b0 = T.MultiplyAdd(TStored.Load<T>(b, i), x0, b0);
                c0 = T.MultiplyAdd(TStored.Load<T>(c, i), x0, c0);
                d0 = T.MultiplyAdd(TStored.Load<T>(d, i), x0, d0);
            }
            sums[0] = T.Sum(a0 + a1) + Rest(a, x, i, inputs);
            sums[1] = T.Sum(b0 + b1) + Rest(b, x, i, inputs);
            sums[2] = T.Sum(c0 + c1) + Rest(c, x, i, inputs);
            sums[3] = T.Sum(d0 + d1) + Rest(d, x, i, inputs);
        }

        [MethodImpl(Lanes.Loop)]
        public static void FourVectors<T>(byte* row, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            float* a = x, b = a + inputs, c = b + inputs, d = c + inputs;
            T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
            long i = 0;
            for (; i <= inputs - 2 * T.Count; i += 2 * T.Count)
            {
                T w0 = TStored.Load<T>(row, i), w1 = TStored.Load<T>(row, i + T.Count);
                a0 = T.MultiplyAdd(w0, T.Load(a + i), a0);
                a1 = T.MultiplyAdd(w1, T.Load(a + i + T.Count), a1);
                b0 = T.MultiplyAdd(w0, T.Load(b + i), b0);
                b1 = T.MultiplyAdd(w1, T.Load(b + i + T.Count), b1);
                c0 = T.MultiplyAdd(w0, T.Load(c + i), c0);
                c1 = T.MultiplyAdd(w1, T.Load(c + i + T.Count), c1);
                d0 = T.MultiplyAdd(w0, T.Load(d + i), d0);
                d1 = T.MultiplyAdd(w1, T.Load(d + i + T.Count), d1);
            }
            for (; i <= inputs - T.Count; i += T.Count)
            {
                T w0 = TStored.Load<T>(row, i);
                a0 = T.MultiplyAdd(w0, T.Load(a + i), a0);
                b0 = T.MultiplyAdd(w0, T.Load(b + i), b0);
                c0 = T.MultiplyAdd(w0, T.Load(c + i), c0);
                d0 = T.MultiplyAdd(w0, T.Load(d + i), d0);
            }
            sums[0] = T.Sum(a0 + a1) + Rest(row, a, i, inputs);
            sums[1] = T.Sum(b0 + b1) + Rest(row, b, i, inputs);
            sums[2] = T.Sum(c0 + c1) + Rest(row, c, i, inputs);
            sums[3] = T.Sum(d0 + d1) + Rest(row, d, i, inputs);
        }

        // Two vectors of a row that is soon wanted. The processor foresees long rows by itself, of which it has come to know the way.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Fetch<T>(byte* row, long i) where T : unmanaged, ILanes<T>
        {
            if (!Sse.IsSupported) return;
            byte* from = row + i * TStored.Bytes;
            Sse.Prefetch0(from);
            if (2 * T.Count * TStored.Bytes > Line) Sse.Prefetch0(from + Line);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float Rest(byte* row, float* x, long i, long inputs)
        {
            Lanes1 sum = Lanes1.Broadcast(0);
            for (; i < inputs; i++) sum = Lanes1.MultiplyAdd(TStored.Load<Lanes1>(row, i), Lanes1.Load(x + i), sum);
            return Lanes1.Sum(sum);
        }
    }

    /// <summary>Blocks of 32: products with integers are added up in a block, then scaled.</summary>
    private readonly struct BlockRow : IRow
    {
        [MethodImpl(Lanes.Loop)]
        public static float One<T>(byte* row, float* x, long inputs) where T : unmanaged, ILanes<T>
        {
            T sum = T.Broadcast(0);
            for (byte* end = row + BlockQuantization.Bytes(inputs); row < end; row += BlockQuantization.BlockBytes, x += BlockQuantization.BlockLength)
            {
                // No loop: the compiler would not unroll it.
                sbyte* numbers = (sbyte*)row + 2;
                if (Sse.IsSupported) Sse.Prefetch0(row + AheadInBlocks);
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
                sum = T.MultiplyAdd(part, T.Broadcast(BlockQuantization.Scale(row)), sum);
            }
            return T.Sum(sum);
        }

        // One after the other: rows of blocks are short, and four at once are more streams than the processor fetches ahead of.
        public static void FourRows<T>(byte* rows, long bytes, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            for (int r = 0; r < 4; r++) sums[r] = One<T>(rows + r * bytes, x, inputs);
        }

        [MethodImpl(Lanes.Loop)]
        public static void FourVectors<T>(byte* row, float* x, long inputs, float* sums) where T : unmanaged, ILanes<T>
        {
            float* a = x, b = a + inputs, c = b + inputs, d = c + inputs;
            T sumA = T.Broadcast(0), sumB = sumA, sumC = sumA, sumD = sumA;
            for (long i = 0; i < inputs; row += BlockQuantization.BlockBytes)
            {
                T w = T.LoadInt8((sbyte*)row + 2), scale = T.Broadcast(BlockQuantization.Scale(row));
                T partA = w * T.Load(a + i), partB = w * T.Load(b + i), partC = w * T.Load(c + i), partD = w * T.Load(d + i);
                i += T.Count;
                for (sbyte* numbers = (sbyte*)row + 2 + T.Count; numbers < row + BlockQuantization.BlockBytes; numbers += T.Count, i += T.Count)
                {
                    w = T.LoadInt8(numbers);
                    partA = T.MultiplyAdd(w, T.Load(a + i), partA);
                    partB = T.MultiplyAdd(w, T.Load(b + i), partB);
                    partC = T.MultiplyAdd(w, T.Load(c + i), partC);
                    partD = T.MultiplyAdd(w, T.Load(d + i), partD);
                }
                sumA = T.MultiplyAdd(partA, scale, sumA);
                sumB = T.MultiplyAdd(partB, scale, sumB);
                sumC = T.MultiplyAdd(partC, scale, sumC);
                sumD = T.MultiplyAdd(partD, scale, sumD);
            }
            (sums[0], sums[1], sums[2], sums[3]) = (T.Sum(sumA), T.Sum(sumB), T.Sum(sumC), T.Sum(sumD));
        }
    }
}
