// Shapes: left (M, K), right (K, N), result (M, N). A panel holds a few rows of left, or columns of right, side by side for one k after the
// other.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Products of matrices on the CPU with float32 sums: by oneDNN's block kernel (<see cref="BlockProduct"/>) or, where it does not
/// run, in SIMD lanes from panels packed for the cache (Goto and van de Geijn 2008).</summary>
/// <remarks>Every sum runs over k in the same order, in blocks, whatever the layouts, the number of threads and the other rows: the same
/// bits each time, and for a batch cut into parts. Other types and devices get libtorch's own products.</remarks>
internal static unsafe class MatrixProduct
{
    // Depth of panels; rows and columns packed at once, multiples of every panel's width; rows whose sums are kept until rounded.
    private const int Depth = 384, RowsAtOnce = 96, ColumnsAtOnce = 1024, RowsKept = 1024;

    // Fewest multiply-adds worth a second thread.
    private const long Grain = 1 << 18;

    [ThreadStatic] private static PackedMemory? packedLeft, packedRight, packedPanel, sums;

    /// <summary>Whether the kernel runs: float32 or bfloat16 on the CPU, with contiguous rows or columns.</summary>
    public static bool IsSupported(Tensor left, Tensor right) =>
        Vector128.IsHardwareAccelerated && left.dtype == right.dtype && left.dtype is ScalarType.Float32 or ScalarType.BFloat16
            && IsMatrix(left) && IsMatrix(right);

    /// <summary>left (M, K) · right (K, N) + bias (N), rounded once if the type is bfloat16; not recorded.</summary>
    public static Tensor Multiply(Tensor left, Tensor right, Tensor? bias = null, ScalarType type = ScalarType.Float32)
    {
        using IDisposable unrecorded = no_grad();
        if (!IsSupported(left, right) || type is not (ScalarType.Float32 or ScalarType.BFloat16)) return Composed(left, right, bias, type);
        Tensor result = empty([left.size(0), right.size(1)], type);
        Multiply(result, left, right, bias, add: false);
        return result;
    }

    /// <summary>Writes left·right to a float32 result (M, N) with contiguous rows, or adds it; not recorded.</summary>
    public static void MultiplyInto(Tensor result, Tensor left, Tensor right, bool add = false)
    {
        using IDisposable unrecorded = no_grad();
        if (IsSupported(left, right) && result.dtype == ScalarType.Float32 && IsMatrix(result)
            && (result.stride(1) == 1 || result.size(1) == 1))
        {
            Multiply(result, left, right, bias: null, add);
            return;
        }
        using Tensor product = Composed(left, right, bias: null, result.dtype);
        if (add) result.add_(product);
        else result.copy_(product);
    }

    private static Tensor Composed(Tensor left, Tensor right, Tensor? bias, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        // On the CPU libtorch's own products of bfloat16 are slow, or rounded on the way.
        bool widens = left.device_type == DeviceType.CPU && left.dtype == ScalarType.BFloat16;
        Tensor product = widens ? left.to(ScalarType.Float32).mm(right.to(ScalarType.Float32)) : left.mm(right);
        if (bias is not null) product = product.add(bias);
        return product.to(type).MoveToOuterDisposeScope();
    }

    private static bool IsMatrix(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU && tensor.dim() == 2 && !tensor.is_sparse
            && (tensor.stride(1) == 1 || tensor.stride(0) == 1 || tensor.numel() <= 1);

    private static void Multiply(Tensor result, Tensor left, Tensor right, Tensor? bias, bool add)
    {
        long rows = left.size(0), depth = left.size(1), columns = right.size(1);
        if (right.size(0) != depth || result.size(0) != rows || result.size(1) != columns
            || (bias is not null && (bias.numel() != columns || bias.dtype != ScalarType.Float32)))
            throw new TorchException(
                $"matrices of [{rows}, {depth}] and [{right.size(0)}, {columns}] have no product of [{result.size(0)}, " +
                $"{result.size(1)}], or the bias is not float32 of that width");
        if (rows == 0 || columns == 0) return;
        using Tensor? shift = bias?.contiguous();
        if (depth == 0)
        {
            if (!add) result.zero_();
            if (shift is not null) result.add_(shift);
            return;
        }
        MatrixFactors factors = new()
        {
            Left = new(left, 0), Right = new(right, 1),
            Result = result.DataPointer, ResultStride = rows == 1 ? columns : result.stride(0),
            Bias = shift is null ? null : (float*)shift.DataPointer,
            Rows = rows, Columns = columns, Depth = depth,
            Rounds = result.dtype == ScalarType.BFloat16, Adds = add,
        };
        bool isFloat = left.dtype == ScalarType.Float32;
        if (BlockProduct.IsSupported(factors, left.dtype))
        {
            if (isFloat) BlockProduct.Multiply<float>(factors);
            else BlockProduct.Multiply<ushort>(factors);
        }
        else if (isFloat) new Problem(factors).Run<float>();
        else new Problem(factors).Run<ushort>();
        GC.KeepAlive(left);
        GC.KeepAlive(right);
        GC.KeepAlive(result);
    }

    private sealed class Problem(MatrixFactors factors)
    {
        private MatrixOperand Left => factors.Left;

        private MatrixOperand Right => factors.Right;

        private byte* Result => factors.Result;

        private long ResultStride => factors.ResultStride;

        private long Rows => factors.Rows;

        private long Columns => factors.Columns;

        private long Depth => factors.Depth;

        private float* Bias => factors.Bias;

        private bool Rounds => factors.Rounds;

        private bool Adds => factors.Adds;

        private static int PanelRows => Lanes.Most == 8 ? 6 : 8;

        private static int PanelColumns => 2 * Lanes.Most;

        public void Run<T>() where T : unmanaged
        {
            // Sums over several blocks of k are kept in float32 and rounded once at the end.
            bool keeps = Rounds && Depth > MatrixProduct.Depth;
            long blocks = Up(Depth, MatrixProduct.Depth) / MatrixProduct.Depth, deep = Up((Depth + blocks - 1) / blocks, 8);
            long step = keeps ? RowsKept : Rows, wide = Math.Min(Columns, ColumnsAtOnce);
            float* kept = keeps ? (float*)(sums ??= new()).Room(sizeof(float) * (Math.Min(step, Rows) * wide)) : null;
            float* right = Math.Min(step, Rows) <= RowsAtOnce
                ? null
                : (float*)(packedRight ??= new()).Room(sizeof(float) * (MatrixProduct.Depth * Up(wide, PanelColumns)));
            for (long row = 0; row < Rows; row += step)
            for (long column = 0; column < Columns; column += ColumnsAtOnce)
            for (long k = 0; k < Depth; k += deep)
                Block<T>(right, kept, row, Math.Min(step, Rows - row), column, k, (int)Math.Min(deep, Depth - k));
        }

        private void Block<T>(float* right, float* kept, long top, long height, long column, long k, int depth) where T : unmanaged
        {
            long columns = Math.Min(ColumnsAtOnce, Columns - column);
            int width = PanelColumns;
            long panels = (columns + width - 1) / width, blocks = (height + RowsAtOnce - 1) / RowsAtOnce;
            // With few rows each panel of right is used once, by the thread that packs it; otherwise all are packed first, for all threads.
            bool together = blocks > 1;
            if (together)
            {
                ParallelFor.Run(panels, Math.Max(1, Grain / 8 / ((long)width * depth)), (begin, end) =>
                {
                    for (long panel = begin; panel < end; panel++) PackRight(panel, right + panel * width * depth);
                });
            }
            // Few rows leave threads only columns to share.
            long threads = get_num_threads(), parts = blocks >= 2 * threads ? 1 : Math.Clamp(2 * threads / blocks, 1, panels);
            long share = (panels + parts - 1) / parts;
            ParallelFor.Run(blocks * parts, Math.Max(1, Grain / (Math.Min(height, RowsAtOnce) * share * width * depth)), (begin, end) =>
            {
                float* left = (float*)(packedLeft ??= new()).Room(sizeof(float) * (RowsAtOnce * MatrixProduct.Depth + 4));
                float* own = together ? null : (float*)(packedPanel ??= new()).Room(sizeof(float) * (MatrixProduct.Depth * width));
                long packed = -1;
                for (long unit = begin; unit < end; unit++)
                {
                    long block = unit / parts, row = block * RowsAtOnce, first = unit % parts * share;
                    int rows = (int)Math.Min(RowsAtOnce, height - row), high = PanelRows;
                    if (block != packed)
                        for (int r = 0; r < rows; r += high)
                            MatrixPanels.Pack<T>(Left, top + row + r, Math.Min(high, rows - r), high, k, depth, left + r * depth);
                    packed = block;
                    for (long panel = first; panel < Math.Min(panels, first + share); panel++)
                    {
                        float* with = together ? right + panel * width * depth : own;
                        if (!together) PackRight(panel, own);
                        for (int r = 0; r < rows; r += high)
                            Tile(left + r * depth, with, kept, depth, k, top, row + r, Math.Min(high, rows - r), column, panel * width,
                                (int)Math.Min(width, columns - panel * width));
                    }
                }
            });

            void PackRight(long panel, float* to) =>
                MatrixPanels.Pack<T>(Right, column + panel * width, Math.Min(width, columns - panel * width), width, k, depth, to);
        }

        // One tile of the result from two panels.
        private void Tile(
            float* left, float* right, float* kept, int depth, long k,
            long top, long row, int rows, long column, long within, int columns)
        {
            int high = PanelRows, width = PanelColumns;
            bool first = k == 0, rounds = Rounds && k + depth == Depth, whole = rows == high && columns == width && !rounds;
            float* tile = stackalloc float[whole ? 0 : high * width];
            // Where the sums up to here are, and go.
            long stride = kept is not null ? Math.Min(Columns, ColumnsAtOnce) : Rounds ? width : ResultStride;
            float* to = kept is not null ? kept + row * stride + within
                : Rounds ? tile
                : (float*)Result + (top + row) * stride + column + within;
            bool adds = !first || Bias is not null || Adds;
            if (first && Bias is not null)
                for (int r = 0; r < rows; r++) new Span<float>(Bias + column + within, columns).CopyTo(new(to + r * stride, columns));
            if (whole)
            {
                Compute(left, right, depth, to, stride, adds);
                return;
            }
            if (adds && to != tile)
                for (int r = 0; r < rows; r++) new Span<float>(to + r * stride, columns).CopyTo(new(tile + r * width, columns));
            Compute(left, right, depth, tile, width, adds);
            for (int r = 0; r < rows; r++)
                if (rounds) Round(tile + r * width, (ushort*)Result + (top + row + r) * ResultStride + column + within, columns);
                else new Span<float>(tile + r * width, columns).CopyTo(new(to + r * stride, columns));
        }

        private static void Compute(float* left, float* right, int depth, float* to, long stride, bool add)
        {
            if (add && Sse.IsSupported)
                for (int r = 0; r < PanelRows; r++) // needed once the sums are done
                {
                    Sse.Prefetch0(to + r * stride);
                    Sse.Prefetch0(to + r * stride + PanelColumns - 1);
                }
            if (Lanes.Most == 16) ComputeEight<Lanes16>(left, right, depth, to, stride, add);
            else if (Lanes.Most == 8) ComputeSix<Lanes8>(left, right, depth, to, stride, add);
            else ComputeEight<Lanes4>(left, right, depth, to, stride, add);
        }

        // 8 rows of two vectors; the sums are written out because .NET keeps no array in registers.
        [MethodImpl(Lanes.Loop)]
        private static void ComputeEight<T>(float* left, float* right, int depth, float* to, long stride, bool add)
            where T : unmanaged, ILanes<T>
        {
            T zero = T.Broadcast(0), a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero, d0 = zero, d1 = zero;
            T e0 = zero, e1 = zero, f0 = zero, f1 = zero, g0 = zero, g1 = zero, h0 = zero, h1 = zero;
            for (int k = 0; k < depth; k++, left += 8, right += 2 * T.Count)
            {
                T w0 = T.Load(right), w1 = T.Load(right + T.Count), x = T.Broadcast(left[0]);
                (a0, a1) = (T.MultiplyAdd(x, w0, a0), T.MultiplyAdd(x, w1, a1));
                x = T.Broadcast(left[1]);
                (b0, b1) = (T.MultiplyAdd(x, w0, b0), T.MultiplyAdd(x, w1, b1));
                x = T.Broadcast(left[2]);
                (c0, c1) = (T.MultiplyAdd(x, w0, c0), T.MultiplyAdd(x, w1, c1));
                x = T.Broadcast(left[3]);
                (d0, d1) = (T.MultiplyAdd(x, w0, d0), T.MultiplyAdd(x, w1, d1));
                x = T.Broadcast(left[4]);
                (e0, e1) = (T.MultiplyAdd(x, w0, e0), T.MultiplyAdd(x, w1, e1));
                x = T.Broadcast(left[5]);
                (f0, f1) = (T.MultiplyAdd(x, w0, f0), T.MultiplyAdd(x, w1, f1));
                x = T.Broadcast(left[6]);
                (g0, g1) = (T.MultiplyAdd(x, w0, g0), T.MultiplyAdd(x, w1, g1));
                x = T.Broadcast(left[7]);
                (h0, h1) = (T.MultiplyAdd(x, w0, h0), T.MultiplyAdd(x, w1, h1));
            }
            Store(a0, a1, to, add);
            Store(b0, b1, to + stride, add);
            Store(c0, c1, to + 2 * stride, add);
            Store(d0, d1, to + 3 * stride, add);
            Store(e0, e1, to + 4 * stride, add);
            Store(f0, f1, to + 5 * stride, add);
            Store(g0, g1, to + 6 * stride, add);
            Store(h0, h1, to + 7 * stride, add);
        }

        // 6 rows: as many sums as 16 registers hold.
        [MethodImpl(Lanes.Loop)]
        private static void ComputeSix<T>(float* left, float* right, int depth, float* to, long stride, bool add)
            where T : unmanaged, ILanes<T>
        {
            T zero = T.Broadcast(0), a0 = zero, a1 = zero, b0 = zero, b1 = zero, c0 = zero, c1 = zero;
            T d0 = zero, d1 = zero, e0 = zero, e1 = zero, f0 = zero, f1 = zero;
            for (int k = 0; k < depth; k++, left += 6, right += 2 * T.Count)
            {
                T w0 = T.Load(right), w1 = T.Load(right + T.Count), x = T.Broadcast(left[0]);
                (a0, a1) = (T.MultiplyAdd(x, w0, a0), T.MultiplyAdd(x, w1, a1));
                x = T.Broadcast(left[1]);
                (b0, b1) = (T.MultiplyAdd(x, w0, b0), T.MultiplyAdd(x, w1, b1));
                x = T.Broadcast(left[2]);
                (c0, c1) = (T.MultiplyAdd(x, w0, c0), T.MultiplyAdd(x, w1, c1));
                x = T.Broadcast(left[3]);
                (d0, d1) = (T.MultiplyAdd(x, w0, d0), T.MultiplyAdd(x, w1, d1));
                x = T.Broadcast(left[4]);
                (e0, e1) = (T.MultiplyAdd(x, w0, e0), T.MultiplyAdd(x, w1, e1));
                x = T.Broadcast(left[5]);
                (f0, f1) = (T.MultiplyAdd(x, w0, f0), T.MultiplyAdd(x, w1, f1));
            }
            Store(a0, a1, to, add);
            Store(b0, b1, to + stride, add);
            Store(c0, c1, to + 2 * stride, add);
            Store(d0, d1, to + 3 * stride, add);
            Store(e0, e1, to + 4 * stride, add);
            Store(f0, f1, to + 5 * stride, add);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Store<T>(T low, T high, float* to, bool add) where T : unmanaged, ILanes<T>
        {
            if (add) (low, high) = (T.Load(to) + low, T.Load(to + T.Count) + high);
            T.Store(low, to);
            T.Store(high, to + T.Count);
        }
    }

    [MethodImpl(Lanes.Loop)]
    internal static void Round(float* from, ushort* to, int count)
    {
        int i = 0;
        if (Vector512.IsHardwareAccelerated)
            for (; i + 16 <= count; i += 16) Lanes16.StoreBFloat16(Lanes16.Load(from + i), to + i);
        for (; i + 8 <= count; i += 8)
        {
            (Vector128<uint> low, Vector128<uint> high) = (Round(Vector128.Load(from + i)), Round(Vector128.Load(from + i + 4)));
            Vector128.Narrow(low, high).Store(to + i);
        }
        for (; i < count; i++) to[i] = (ushort)Round(Vector128.CreateScalar(from[i])).ToScalar();
    }

    // To nearest, halves to even; NaN stays NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Round(Vector128<float> x)
    {
        Vector128<uint> bits = x.AsUInt32(), rounded = (bits + Vector128.Create(0x7FFFu) + ((bits >> 16) & Vector128<uint>.One)) >> 16;
        return Vector128.ConditionalSelect(Vector128.Equals(x, x).AsUInt32(), rounded, Vector128.Create(0x7FC0u));
    }

    private static long Up(long x, long multiple) => (x + multiple - 1) / multiple * multiple;
}

/// <summary>Factors and result of a product.</summary>
internal readonly unsafe struct MatrixFactors
{
    public required MatrixOperand Left { get; init; }

    public required MatrixOperand Right { get; init; }

    public required byte* Result { get; init; }

    public required long ResultStride { get; init; }

    public required long Rows { get; init; }

    public required long Columns { get; init; }

    public required long Depth { get; init; }

    /// <summary>Added to every row, or null.</summary>
    public required float* Bias { get; init; }

    /// <summary>Whether the result is bfloat16.</summary>
    public required bool Rounds { get; init; }

    /// <summary>Whether the product is added to a float32 result.</summary>
    public required bool Adds { get; init; }
}
