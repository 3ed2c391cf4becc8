// Shapes: left (M, K), right (K, N), result (M, N). A panel is 64 columns of right, for one k after the other; of bfloat16, for one pair of
// k after the other.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Products of matrices by oneDNN's block kernel (brgemm), which has bfloat16 instructions (.NET lacks AVX512-BF16).</summary>
/// <remarks>libtorch exports it as C++ (at::native::cpublas), under a name that spells its arguments; where that name is missing, so is
/// the kernel. Sums run over k in the same order whatever the shapes and the number of threads.</remarks>
internal static unsafe class BlockProduct
{
    // Columns of a panel and rows of a block; rows of left transposed at once; depth of a panel whose sums are float32.
    private const int Width = 64, Height = 64, RowsAtOnce = 512, MostDepth = 1024;

    // Parts of the result for each thread to take, and the fewest rows of one.
    private const int UnitsOfThread = 8, FewestRows = 128;

    // Fewer columns fill too little of a panel. The number of rows decides nothing: a row has the same bits whatever is beside it.
    private const int FewestColumns = 48;

    private static readonly delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>
        MultiplyFloat32 = (delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>)
            TorchLibrary.OptionalExport("_ZN2at6native7cpublas6brgemmEllllllbPKfS3_Pfb");

    private static readonly delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>
        MultiplyBFloat16 = (delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>)
            TorchLibrary.OptionalExport("_ZN2at6native7cpublas6brgemmEllllllbPKN3c108BFloat16ES5_Pfb");

    // Releases the processor's AMX tiles.
    private static readonly delegate* unmanaged[Cdecl]<byte, void> Release =
        (delegate* unmanaged[Cdecl]<byte, void>)TorchLibrary.OptionalExport("_ZN2at6native7cpublas14brgemm_releaseEb");

    // Asked for more than these limits allow, oneDNN ends the process.
    private static readonly bool IsLimited = Environment.GetEnvironmentVariable("ONEDNN_MAX_CPU_ISA") is not null
        || Environment.GetEnvironmentVariable("DNNL_MAX_CPU_ISA") is not null;

    private static readonly bool HasFloat32 = !IsLimited && Release is not null && MultiplyFloat32 is not null && Avx2.IsSupported
        && Fma.IsSupported;

    private static readonly bool HasBFloat16 = !IsLimited && Release is not null && MultiplyBFloat16 is not null && Avx512BW.IsSupported
        && HasAvx512BFloat16();

    [ThreadStatic] private static PackedMemory? transposed, panels;

    /// <summary>Tests of the other kernel switch it off.</summary>
    internal static bool IsEnabled { get; set; } = true;

    /// <summary>Whether the kernel runs here and pays.</summary>
    public static bool IsSupported(in MatrixFactors factors, ScalarType type) =>
        IsEnabled && factors.Columns >= FewestColumns
        && (type == ScalarType.Float32 ? HasFloat32 : HasBFloat16 && factors.Depth % 2 == 0
            && (factors.Right.AlongStride != 1 || factors.Right.AcrossStride % 2 == 0));

    /// <summary>Writes or adds the product; T is float, or ushort for bfloat16.</summary>
    public static void Multiply<T>(MatrixFactors factors) where T : unmanaged
    {
        if (factors.Rounds && factors.Depth > MostDepth)
        {
            MultiplyAndRound<T>(factors);
            return;
        }
        for (long k = 0; k < factors.Depth; k += MostDepth)
        {
            int depth = (int)Math.Min(MostDepth, factors.Depth - k);
            bool transposes = factors.Left.AlongStride != 1;
            // Transposing writes whole vectors, which must not reach into the next row: that may be another thread's.
            int stride = (depth + 7) / 8 * 8;
            long step = transposes ? RowsAtOnce * (MostDepth / stride) : factors.Rows;
            for (long row = 0; row < factors.Rows; row += step)
            {
                long rows = Math.Min(step, factors.Rows - row);
                if (!transposes)
                {
                    Rows<T>(factors, (T*)factors.Left.From(row).Data + k, factors.Left.AcrossStride, row, rows, k, depth);
                    continue;
                }
                T* left = (T*)(transposed ??= new()).Room(sizeof(T) * RowsAtOnce * MostDepth);
                Transpose<T>(factors.Left, row, rows, k, depth, left, stride);
                Rows<T>(factors, left, stride, row, rows, k, depth);
            }
        }
    }

    // Sums over several panels are kept in float32 until the last, and rounded once.
    private static void MultiplyAndRound<T>(MatrixFactors factors) where T : unmanaged
    {
        long columns = factors.Columns;
        using Scratch scratch = new(Math.Min(RowsAtOnce, factors.Rows) * columns, arrays: 1);
        float* kept = scratch.Take(Math.Min(RowsAtOnce, factors.Rows) * columns);
        for (long row = 0; row < factors.Rows; row += RowsAtOnce)
        {
            long rows = Math.Min(RowsAtOnce, factors.Rows - row);
            Multiply<T>(factors with
            {
                Left = factors.Left.From(row), Rows = rows, Result = (byte*)kept, ResultStride = columns, Rounds = false,
            });
            ushort* result = (ushort*)factors.Result + row * factors.ResultStride;
            nint sums = (nint)kept;
            ParallelFor.Run(rows, Math.Max(1, (1L << 15) / columns), (begin, end) =>
            {
                for (long r = begin; r < end; r++)
                    MatrixProduct.Round((float*)sums + r * columns, result + r * factors.ResultStride, (int)columns);
            });
        }
    }

    // The result's rows for contiguous rows of left.
    private static void Rows<T>(MatrixFactors factors, T* left, long stride, long row, long rows, long k, int depth) where T : unmanaged
    {
        long count = (factors.Columns + Width - 1) / Width, threads = get_num_threads();
        long parts = threads == 1 ? 1 : Math.Clamp((UnitsOfThread * threads + count - 1) / count, 1, Math.Max(1, rows / FewestRows));
        long share = ((rows + parts - 1) / parts + Height - 1) / Height * Height;
        nint start = (nint)left;
        parts = (rows + share - 1) / share;
        ParallelFor.RunGuided(count * parts, Math.Max(1, (1L << 18) / (share * Width * depth)), (begin, end) =>
        {
            SignalStack.Ensure();
            T* from = (T*)start;
            byte* room = (byte*)(panels ??= new()).Room(sizeof(T) * (Width + 8) * (long)depth + sizeof(float) * Height * Width);
            Block<T> block = new()
            {
                Factors = factors, Left = from, Stride = stride, Row = row, K = k, Depth = depth,
                Panel = (T*)room, Few = (T*)room + Width * (long)depth, Tile = (float*)((T*)room + (Width + 8) * (long)depth),
            };
            for (long unit = begin, packed = -1; unit < end; unit++)
            {
                long panel = unit / parts, first = unit % parts * share;
                if (panel != packed)
                    PackPanel(factors.Right, panel * Width, (int)Math.Min(Width, factors.Columns - panel * Width), k, depth, block.Panel);
                packed = panel;
                block.Run(panel * Width, first, Math.Min(rows, first + share));
            }
            Release(typeof(T) == typeof(ushort) ? (byte)1 : (byte)0);
        });
    }

    private static void PackPanel<T>(in MatrixOperand right, long column, int columns, long k, int depth, T* to) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) MatrixPanels.Pack<float>(right, column, columns, Width, k, depth, (float*)to);
        // Two k of one column are adjacent: one number of 32 bits.
        else if (right.AlongStride == 1)
            MatrixPanels.PackAlong(
                (float*)((ushort*)right.From(column).Data + k), right.AcrossStride / 2, columns, Width, depth / 2, (float*)to);
        else Pair((ushort*)right.From(column).Data + k * right.AlongStride, right.AlongStride, columns, Width, depth, (ushort*)to);
    }

    // Rows of left that lie across memory become contiguous.
    private static void Transpose<T>(MatrixOperand left, long row, long rows, long k, int depth, T* to, int stride) where T : unmanaged
    {
        nint target = (nint)to;
        ParallelFor.Run((rows + Width - 1) / Width, Math.Max(1, (1L << 16) / (Width * depth)), (begin, end) =>
        {
            float* pairs = typeof(T) == typeof(float) ? null : (float*)(panels ??= new()).Room(sizeof(ushort) * Width * (long)depth);
            for (long first = begin * Width; first < Math.Min(rows, end * Width); first += Width)
            {
                int count = (int)Math.Min(Width, rows - first);
                T* source = (T*)left.From(row + first).Data + k * left.AlongStride, rowsTo = (T*)target + first * stride;
                if (typeof(T) == typeof(float))
                {
                    MatrixPanels.PackAlong((float*)source, left.AlongStride, depth, stride, count, (float*)rowsTo);
                    continue;
                }
                Pair((ushort*)source, left.AlongStride, count, Width, depth, (ushort*)pairs);
                MatrixPanels.PackAlong(pairs, Width, depth / 2, stride / 2, count, (float*)rowsTo);
            }
        });
    }

    // 0, 32, 1, 33 …: interleaves two vectors.
    private static Vector512<ushort> LowPairs =>
        Vector512.Create((ushort)0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39,
            8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47);

    // (K, count) → (K / 2, width, 2); past count it is zero.
    [MethodImpl(Lanes.Loop)]
    private static void Pair(ushort* from, long stride, int count, int width, int depth, ushort* to)
    {
        if (count < width) new Span<ushort>(to, width * depth).Clear();
        Vector512<ushort> low = LowPairs, high = low + Vector512.Create((ushort)16);
        for (int i = 0; i < depth; i += 2, from += 2 * stride, to += 2 * width)
        {
            ushort* next = from + stride;
            int j = 0;
            for (; j + 32 <= count; j += 32)
            {
                Vector512<ushort> these = Vector512.Load(from + j), those = Vector512.Load(next + j);
                Avx512BW.PermuteVar32x16x2(these, low, those).Store(to + 2 * j);
                Avx512BW.PermuteVar32x16x2(these, high, those).Store(to + 2 * j + 32);
            }
            for (; j < count; j++) ((uint*)to)[j] = from[j] | ((uint)next[j] << 16);
        }
    }

    private static bool HasAvx512BFloat16() =>
        X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && X86Base.CpuId(7, 0).Eax >= 1 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;

    /// <summary>Blocks of the result for one panel.</summary>
    private struct Block<T> where T : unmanaged
    {
        public MatrixFactors Factors;
        public T* Left, Panel, Few;
        public float* Tile;
        public long Stride, Row, K;
        public int Depth;

        // Only a few different heights: the kernel is generated anew for each.
        public readonly void Run(long column, long first, long end)
        {
            int height = Height;
            for (long row = first; row < end; row += height)
            {
                while (height > 8 && row + height > end) height /= 2;
                Compute(column, row, height, (int)Math.Min(height, end - row));
            }
        }

        private readonly void Compute(long column, long row, int height, int rows)
        {
            int columns = (int)Math.Min(Width, Factors.Columns - column);
            bool start = K == 0, adds = !start || Factors.Adds || Factors.Bias is not null;
            bool whole = rows == height && columns == Width && !Factors.Rounds;
            T* left = Left + row * Stride;
            long leftStride = Stride, stride = whole ? Factors.ResultStride : Width;
            if (rows < height)
            {
                new Span<byte>(Few, sizeof(T) * height * Depth).Clear();
                for (int r = 0; r < rows; r++) new Span<T>(left + r * Stride, Depth).CopyTo(new(Few + r * (long)Depth, Depth));
                left = Few;
                leftStride = Depth;
            }
            float* result = (float*)Factors.Result + (Row + row) * Factors.ResultStride + column, to = whole ? result : Tile;
            if (start && Factors.Bias is not null)
                for (int r = 0; r < rows; r++) new Span<float>(Factors.Bias + column, columns).CopyTo(new(to + r * stride, columns));
            else if (adds && !whole)
                for (int r = 0; r < rows; r++)
                    new Span<float>(result + r * Factors.ResultStride, columns).CopyTo(new(to + r * stride, columns));
            if (typeof(T) == typeof(float))
                MultiplyFloat32(height, Width, Depth, leftStride, Width, stride, adds ? (byte)1 : (byte)0, left, Panel, to, 0);
            else MultiplyBFloat16(height, Width, Depth, leftStride, Width, stride, adds ? (byte)1 : (byte)0, left, Panel, to, 1);
            if (whole) return;
            for (int r = 0; r < rows; r++)
                if (Factors.Rounds)
                    MatrixProduct.Round(
                        to + r * stride, (ushort*)Factors.Result + (Row + row + r) * Factors.ResultStride + column, columns);
                else
                    new Span<float>(to + r * stride, columns).CopyTo(new(result + r * Factors.ResultStride, columns));
        }
    }
}
