// Shapes: left (M, K), right (K, N), result (M, N). A panel holds a few rows of left, or columns of right, side by side for one k after the
// other.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Products of matrices on the CPU with sums in float32: by oneDNN's block kernel (<see cref="BlockProduct"/>) or, where it does
/// not run, in SIMD lanes from panels packed for the cache (Goto and van de Geijn 2008).</summary>
/// <remarks>Every sum runs over k in the same order, in blocks, whatever the layouts, the number of threads and the rows beside it: the
/// same bits each time, and for a batch cut into parts. bfloat16 numbers are multiplied exactly. Elsewhere, and in other types, products
/// are libtorch's own.</remarks>
public static unsafe class MatrixProduct
{
    // Depth of the panels; rows and columns that are packed at once, multiples of every panel's width; rows whose sums are kept until they
    // are rounded.
    private const int Depth = 384, RowsAtOnce = 96, ColumnsAtOnce = 1024, RowsKept = 1024;

    // Multiplications that are worth a second thread.
    private const long Grain = 1 << 18;

    // The widest vectors that are one instruction here; tests try the others.
    internal static int Bits = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : 128;

    [ThreadStatic] private static PackedMemory? packedLeft, packedRight, packedPanel, sums;

    /// <summary>Whether the kernel runs: matrices of float32 or of bfloat16 on the CPU, whose rows or columns are contiguous.</summary>
    public static bool IsSupported(Tensor left, Tensor right) =>
        Vector128.IsHardwareAccelerated && left.dtype == right.dtype && left.dtype is ScalarType.Float32 or ScalarType.BFloat16
            && IsMatrix(left) && IsMatrix(right);

    /// <summary>left·right + bias; not recorded.</summary>
    /// <param name="left">(M, K), perhaps a transposed view</param>
    /// <param name="right">(K, N), perhaps a transposed view, of the same type</param>
    /// <param name="bias">(N), float32, or none</param>
    /// <param name="type">Of the result: float32, or bfloat16 to round the sums once.</param>
    /// <returns>(M, N)</returns>
    public static Tensor Multiply(Tensor left, Tensor right, Tensor? bias = null, ScalarType type = ScalarType.Float32)
    {
        using IDisposable unrecorded = no_grad();
        if (!IsSupported(left, right) || type is not (ScalarType.Float32 or ScalarType.BFloat16)) return Composed(left, right, bias, type);
        Tensor result = empty([left.size(0), right.size(1)], type);
        Multiply(result, left, right, bias, add: false);
        return result;
    }

    /// <summary>Writes left·right to a result that is there already, or adds it; not recorded.</summary>
    /// <param name="result">(M, N), float32, its rows contiguous</param>
    /// <param name="left">(M, K), perhaps a transposed view</param>
    /// <param name="right">(K, N), perhaps a transposed view, of the same type</param>
    /// <param name="add">Whether the product is added to what is there.</param>
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
        // Elsewhere than on a GPU, libtorch's own products of bfloat16 are slow or rounded on the way.
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
            Left = new(left, 0),
            Right = new(right, 1),
            Result = result.DataPointer,
            ResultStride = rows == 1 ? columns : result.stride(0),
            Bias = shift is null ? null : (float*)shift.DataPointer,
            Rows = rows,
            Columns = columns,
            Depth = depth,
            Rounds = result.dtype == ScalarType.BFloat16,
            Adds = add,
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

        private static int PanelRows => Bits == 256 ? 6 : 8;

        private static int PanelColumns => Bits == 512 ? 32 : Bits == 256 ? 16 : 8;

        public void Run<T>() where T : unmanaged
        {
            // Rounded once at the end, sums that take several blocks of k are kept elsewhere until then.
            bool keeps = Rounds && Depth > MatrixProduct.Depth;
            // about as deep each
            long deep = Up((Depth + Up(Depth, MatrixProduct.Depth) / MatrixProduct.Depth - 1) / (
                Up(Depth, MatrixProduct.Depth) / MatrixProduct.Depth), 8);
            long step = keeps ? RowsKept : Rows, wide = Math.Min(Columns, ColumnsAtOnce);
            float* kept = keeps ? (float*)(sums ??= new()).Room(sizeof(float) * (Math.Min(step, Rows) * wide)) : null;
            float* right = Math.Min(step, Rows) <= RowsAtOnce ? null : (float*)(packedRight ??= new())
                .Room(sizeof(float) * (MatrixProduct.Depth * Up(wide, PanelColumns)));
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
            // With few rows each panel of right is wanted once, and so is packed where it is; otherwise first, for all threads.
            bool together = blocks > 1;
            if (together)
            {
                ParallelFor.Run(panels, Math.Max(1, Grain / 8 / ((long)width * depth)), (begin, end) =>
                {
                    for (long panel = begin; panel < end; panel++) PackRight(panel, right + panel * width * depth);
                });
            }
            // Few rows leave threads only columns to share.
            long threads = get_num_threads(), parts = blocks >= 2 * threads ? 1 : Math.Clamp(2 * threads / blocks, 1, panels),
                share = (panels + parts - 1) / parts;
            ParallelFor.Run(blocks * parts, Math.Max(1, Grain / (Math.Min(height, RowsAtOnce) * share * width * depth)), (begin, end) =>
            {
                float* left = (float*)(packedLeft ??= new()).Room(sizeof(float) * (RowsAtOnce * MatrixProduct.Depth + 4)), own = together
                    ? null : (float*)(packedPanel ??= new()).Room(sizeof(float) * (MatrixProduct.Depth * width));
                long packed = -1;
                for (long unit = begin; unit < end; unit++)
                {
                    long block = unit / parts, row = block * RowsAtOnce, first = unit % parts * share;
                    int rows = (int)Math.Min(RowsAtOnce, height - row), high = PanelRows;
                    if (block != packed)
                        for (int r = 0; r < rows; r += high)
                            Pack<T>(Left, top + row + r, Math.Min(high, rows - r), high, k, depth, left + r * depth);
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
                Pack<T>(Right, column + panel * width, Math.Min(width, columns - panel * width), width, k, depth, to);
        }

        // One tile of the result, rows x columns of what two panels give.
        private void Tile(float* left, float* right, float* kept, int depth, long k, long top, long row, int rows, long column, long within,
            int columns)
        {
            int high = PanelRows, width = PanelColumns;
            bool first = k == 0, rounds = Rounds && k + depth == Depth, whole = rows == high && columns == width && !rounds;
            float* tile = stackalloc float[whole ? 0 : high * width];
            // Where the sums up to here are, and go.
            long stride = kept is not null ? Math.Min(Columns, ColumnsAtOnce) : Rounds ? width : ResultStride;
            float* to = kept is not null ? kept + row * stride + within : Rounds ? tile : (float*)Result + (top + row) * stride + column
                + within;
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
                for (int r = 0; r < PanelRows; r++) // they are wanted when the sums are done
                {
                    Sse.Prefetch0(to + r * stride);
                    Sse.Prefetch0(to + r * stride + PanelColumns - 1);
                }
            if (Bits == 512) Compute512(left, right, depth, to, stride, add);
            else if (Bits == 256) Compute256(left, right, depth, to, stride, add);
            else Compute128(left, right, depth, to, stride, add);
        }
    }

    /// <summary>Rounds numbers to bfloat16.</summary>
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

    // To the nearest, halves to even; what is not a number stays none.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> Round(Vector128<float> x)
    {
        Vector128<uint> bits = x.AsUInt32(), rounded = (bits + Vector128.Create(0x7FFFu) + ((bits >> 16) & Vector128<uint>.One)) >> 16;
        return Vector128.ConditionalSelect(Vector128.Equals(x, x).AsUInt32(), rounded, Vector128.Create(0x7FC0u));
    }

    private static long Up(long x, long multiple) => (x + multiple - 1) / multiple * multiple;

    // Rows of left, or columns of right, from the first on, for each k one after the other. Where there are fewer than the panel is wide,
    // the rest is anything: it only meets sums that nobody reads.
    internal static void Pack<T>(in MatrixOperand from, long first, long count, int width, long k, int depth, float* to) where T : unmanaged
    {
        T* data = (T*)from.Data + first * from.AcrossStride + k * from.AlongStride;
        if (from.AcrossStride == 1) PackAcross(data, from.AlongStride, (int)count, width, depth, to);
        else PackAlong(data, from.AcrossStride, (int)count, width, depth, to);
    }

    [MethodImpl(Lanes.Loop)]
    private static void PackAcross<T>(T* data, long stride, int count, int width, int depth, float* to) where T : unmanaged
    {
        if (count < width) new Span<float>(to, width * depth).Clear();
        for (int i = 0; i < depth; i++, data += stride, to += width)
        {
            int j = 0;
            for (; j + 8 <= count; j += 8) Load8(data + j).Store(to + j);
            for (; j + 4 <= count; j += 4) Load4(data + j).Store(to + j);
            if (count >= 4) Load4(data + count - 4).Store(to + count - 4);
            else
                for (; j < count; j++) to[j] = Load(data + j);
        }
    }

    // Each across has its k side by side.
    internal static void PackAlong<T>(T* data, long stride, int count, int width, int depth, float* to) where T : unmanaged
    {
        // In blocks of 16 by 16 as far as they go, unless what is written too much beside them would be in their place.
        bool blocks = typeof(T) == typeof(float) && Avx512F.IsSupported && width % 4 == 0;
        int deep = blocks ? depth / 16 * 16 : 0, wide = deep > 0 ? count / 16 * 16 : 0;
        for (int i = 0; i < deep && wide > 0; i += 16)
        for (int j = 0; j < wide; j += 16) Turn16((float*)data + j * stride + i, stride, to + i * width + j, width);
        if (wide < width) PackAlong(data, stride, count, width, wide, 0, deep, to);
        PackAlong(data, stride, count, width, 0, deep, depth, to);
    }

    // Eight k of four are turned at a time, the last four first, for what they write too much is written again.
    [MethodImpl(Lanes.Loop)]
    private static void PackAlong<T>(T* data, long stride, int count, int width, int first, int begin, int end, float* to)
        where T : unmanaged
    {
        int i = begin;
        for (; i + 8 <= end; i += 8)
        for (int j = (width - 1) / 4 * 4; j >= first; j -= 4)
        {
            int last = count - 1;
            Turn4(data + Math.Min(j, last) * stride + i, data + Math.Min(j + 1, last) * stride + i, data + Math.Min(j + 2, last) * stride
                + i, data + Math.Min(j + 3, last) * stride + i,
                to + i * width + j, width);
        }
        for (; i < end; i++)
        for (int j = first; j < width; j++)
            to[i * width + j] = Load(data + Math.Min(j, count - 1) * stride + i);
    }

    // Sixteen rows of sixteen become as many columns.
    [MethodImpl(Lanes.Loop)]
    private static void Turn16(float* from, long stride, float* to, int width)
    {
        (Vector512<float> a0, Vector512<float> a1, Vector512<float> a2, Vector512<float> a3) = Rows4(from, stride);
        (Vector512<float> b0, Vector512<float> b1, Vector512<float> b2, Vector512<float> b3) = Rows4(from + 4 * stride, stride);
        (Vector512<float> c0, Vector512<float> c1, Vector512<float> c2, Vector512<float> c3) = Rows4(from + 8 * stride, stride);
        (Vector512<float> d0, Vector512<float> d1, Vector512<float> d2, Vector512<float> d3) = Rows4(from + 12 * stride, stride);
        Columns4(a0, b0, c0, d0, to, width);
        Columns4(a1, b1, c1, d1, to + width, width);
        Columns4(a2, b2, c2, d2, to + 2 * width, width);
        Columns4(a3, b3, c3, d3, to + 3 * width, width);
    }

    // Of four rows the columns 0, 4, 8 and 12; 1, 5, 9 and 13; and so on.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> First, Vector512<float> Second, Vector512<float> Third, Vector512<float> Fourth) Rows4(
        float* from, long stride)
    {
        Vector512<float> a = Vector512.Load(from), b = Vector512.Load(from + stride), c = Vector512.Load(from + 2 * stride),
            d = Vector512.Load(from + 3 * stride);
        Vector512<double> ab0 = Avx512F.UnpackLow(a, b).AsDouble(), ab1 = Avx512F.UnpackHigh(a, b).AsDouble();
        Vector512<double> cd0 = Avx512F.UnpackLow(c, d).AsDouble(), cd1 = Avx512F.UnpackHigh(c, d).AsDouble();
        return (Avx512F.UnpackLow(ab0, cd0).AsSingle(), Avx512F.UnpackHigh(ab0, cd0).AsSingle(), Avx512F.UnpackLow(ab1, cd1).AsSingle(),
            Avx512F.UnpackHigh(ab1, cd1).AsSingle());
    }

    // Of four times such columns, each whole.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Columns4(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* to, int width)
    {
        Vector512<float> ab0 = Avx512F.Shuffle4x128(a, b, 0x44), ab1 = Avx512F.Shuffle4x128(a, b, 0xEE);
        Vector512<float> cd0 = Avx512F.Shuffle4x128(c, d, 0x44), cd1 = Avx512F.Shuffle4x128(c, d, 0xEE);
        Avx512F.Shuffle4x128(ab0, cd0, 0x88).Store(to);
        Avx512F.Shuffle4x128(ab0, cd0, 0xDD).Store(to + 4 * width);
        Avx512F.Shuffle4x128(ab1, cd1, 0x88).Store(to + 8 * width);
        Avx512F.Shuffle4x128(ab1, cd1, 0xDD).Store(to + 12 * width);
    }

    // Four rows of eight become eight of four.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Turn4<T>(T* a, T* b, T* c, T* d, float* to, int width) where T : unmanaged
    {
        (Vector128<float> a0, Vector128<float> a1) = Load4And4(a);
        (Vector128<float> b0, Vector128<float> b1) = Load4And4(b);
        (Vector128<float> c0, Vector128<float> c1) = Load4And4(c);
        (Vector128<float> d0, Vector128<float> d1) = Load4And4(d);
        Turn44(a0, b0, c0, d0, to, width);
        Turn44(a1, b1, c1, d1, to + 4 * width, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Turn44(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d, float* to, int width)
    {
        Vector128<float> ac0 = Low(a, c), ac1 = High(a, c), bd0 = Low(b, d), bd1 = High(b, d);
        Low(ac0, bd0).Store(to);
        High(ac0, bd0).Store(to + width);
        Low(ac1, bd1).Store(to + 2 * width);
        High(ac1, bd1).Store(to + 3 * width);
    }

    // a0 b0 a1 b1, and a2 b2 a3 b3.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Low(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> High(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Load<T>(T* from) where T : unmanaged =>
        typeof(T) == typeof(float) ? *(float*)from : BitConverter.UInt32BitsToSingle((uint)*(ushort*)from << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Load4<T>(T* from) where T : unmanaged =>
        typeof(T) == typeof(float) ? Vector128.Load((float*)from)
            : (Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)from).AsUInt16()) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load8<T>(T* from) where T : unmanaged
    {
        (Vector128<float> low, Vector128<float> high) = Load4And4(from);
        return Vector256.Create(low, high);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector128<float> Low, Vector128<float> High) Load4And4<T>(T* from) where T : unmanaged
    {
        if (typeof(T) == typeof(float)) return (Vector128.Load((float*)from), Vector128.Load((float*)from + 4));
        (Vector128<uint> low, Vector128<uint> high) = Vector128.Widen(Vector128.Load((ushort*)from));
        return ((low << 16).AsSingle(), (high << 16).AsSingle());
    }

    // 8 rows of 32.
    private static void Compute512(float* left, float* right, int depth, float* to, long stride, bool add)
    {
        Vector512<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        Vector512<float> e0 = default, e1 = default, f0 = default, f1 = default, g0 = default, g1 = default, h0 = default, h1 = default;
        for (int k = 0; k < depth; k++, left += 8, right += 32)
        {
            Vector512<float> w0 = Vector512.Load(right), w1 = Vector512.Load(right + 16), x = Vector512.Create(left[0]);
            (a0, a1) = (Vector512.FusedMultiplyAdd(x, w0, a0), Vector512.FusedMultiplyAdd(x, w1, a1));
            x = Vector512.Create(left[1]);
            (b0, b1) = (Vector512.FusedMultiplyAdd(x, w0, b0), Vector512.FusedMultiplyAdd(x, w1, b1));
            x = Vector512.Create(left[2]);
            (c0, c1) = (Vector512.FusedMultiplyAdd(x, w0, c0), Vector512.FusedMultiplyAdd(x, w1, c1));
            x = Vector512.Create(left[3]);
            (d0, d1) = (Vector512.FusedMultiplyAdd(x, w0, d0), Vector512.FusedMultiplyAdd(x, w1, d1));
            x = Vector512.Create(left[4]);
            (e0, e1) = (Vector512.FusedMultiplyAdd(x, w0, e0), Vector512.FusedMultiplyAdd(x, w1, e1));
            x = Vector512.Create(left[5]);
            (f0, f1) = (Vector512.FusedMultiplyAdd(x, w0, f0), Vector512.FusedMultiplyAdd(x, w1, f1));
            x = Vector512.Create(left[6]);
            (g0, g1) = (Vector512.FusedMultiplyAdd(x, w0, g0), Vector512.FusedMultiplyAdd(x, w1, g1));
            x = Vector512.Create(left[7]);
            (h0, h1) = (Vector512.FusedMultiplyAdd(x, w0, h0), Vector512.FusedMultiplyAdd(x, w1, h1));
        }
        Give(a0, a1, to, add);
        Give(b0, b1, to + stride, add);
        Give(c0, c1, to + 2 * stride, add);
        Give(d0, d1, to + 3 * stride, add);
        Give(e0, e1, to + 4 * stride, add);
        Give(f0, f1, to + 5 * stride, add);
        Give(g0, g1, to + 6 * stride, add);
        Give(h0, h1, to + 7 * stride, add);

        static void Give(Vector512<float> low, Vector512<float> high, float* to, bool add)
        {
            if (add) (low, high) = (Vector512.Load(to) + low, Vector512.Load(to + 16) + high);
            low.Store(to);
            high.Store(to + 16);
        }
    }

    // 6 rows of 16: as many sums as 16 registers hold.
    private static void Compute256(float* left, float* right, int depth, float* to, long stride, bool add)
    {
        Vector256<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default;
        Vector256<float> d0 = default, d1 = default, e0 = default, e1 = default, f0 = default, f1 = default;
        for (int k = 0; k < depth; k++, left += 6, right += 16)
        {
            Vector256<float> w0 = Vector256.Load(right), w1 = Vector256.Load(right + 8), x = Vector256.Create(left[0]);
            (a0, a1) = (Vector256.FusedMultiplyAdd(x, w0, a0), Vector256.FusedMultiplyAdd(x, w1, a1));
            x = Vector256.Create(left[1]);
            (b0, b1) = (Vector256.FusedMultiplyAdd(x, w0, b0), Vector256.FusedMultiplyAdd(x, w1, b1));
            x = Vector256.Create(left[2]);
            (c0, c1) = (Vector256.FusedMultiplyAdd(x, w0, c0), Vector256.FusedMultiplyAdd(x, w1, c1));
            x = Vector256.Create(left[3]);
            (d0, d1) = (Vector256.FusedMultiplyAdd(x, w0, d0), Vector256.FusedMultiplyAdd(x, w1, d1));
            x = Vector256.Create(left[4]);
            (e0, e1) = (Vector256.FusedMultiplyAdd(x, w0, e0), Vector256.FusedMultiplyAdd(x, w1, e1));
            x = Vector256.Create(left[5]);
            (f0, f1) = (Vector256.FusedMultiplyAdd(x, w0, f0), Vector256.FusedMultiplyAdd(x, w1, f1));
        }
        Give(a0, a1, to, add);
        Give(b0, b1, to + stride, add);
        Give(c0, c1, to + 2 * stride, add);
        Give(d0, d1, to + 3 * stride, add);
        Give(e0, e1, to + 4 * stride, add);
        Give(f0, f1, to + 5 * stride, add);

        static void Give(Vector256<float> low, Vector256<float> high, float* to, bool add)
        {
            if (add) (low, high) = (Vector256.Load(to) + low, Vector256.Load(to + 8) + high);
            low.Store(to);
            high.Store(to + 8);
        }
    }

    // 8 rows of 8.
    private static void Compute128(float* left, float* right, int depth, float* to, long stride, bool add)
    {
        Vector128<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        Vector128<float> e0 = default, e1 = default, f0 = default, f1 = default, g0 = default, g1 = default, h0 = default, h1 = default;
        for (int k = 0; k < depth; k++, left += 8, right += 8)
        {
            Vector128<float> w0 = Vector128.Load(right), w1 = Vector128.Load(right + 4), x = Vector128.Create(left[0]);
            (a0, a1) = (Vector128.FusedMultiplyAdd(x, w0, a0), Vector128.FusedMultiplyAdd(x, w1, a1));
            x = Vector128.Create(left[1]);
            (b0, b1) = (Vector128.FusedMultiplyAdd(x, w0, b0), Vector128.FusedMultiplyAdd(x, w1, b1));
            x = Vector128.Create(left[2]);
            (c0, c1) = (Vector128.FusedMultiplyAdd(x, w0, c0), Vector128.FusedMultiplyAdd(x, w1, c1));
            x = Vector128.Create(left[3]);
            (d0, d1) = (Vector128.FusedMultiplyAdd(x, w0, d0), Vector128.FusedMultiplyAdd(x, w1, d1));
            x = Vector128.Create(left[4]);
            (e0, e1) = (Vector128.FusedMultiplyAdd(x, w0, e0), Vector128.FusedMultiplyAdd(x, w1, e1));
            x = Vector128.Create(left[5]);
            (f0, f1) = (Vector128.FusedMultiplyAdd(x, w0, f0), Vector128.FusedMultiplyAdd(x, w1, f1));
            x = Vector128.Create(left[6]);
            (g0, g1) = (Vector128.FusedMultiplyAdd(x, w0, g0), Vector128.FusedMultiplyAdd(x, w1, g1));
            x = Vector128.Create(left[7]);
            (h0, h1) = (Vector128.FusedMultiplyAdd(x, w0, h0), Vector128.FusedMultiplyAdd(x, w1, h1));
        }
        Give(a0, a1, to, add);
        Give(b0, b1, to + stride, add);
        Give(c0, c1, to + 2 * stride, add);
        Give(d0, d1, to + 3 * stride, add);
        Give(e0, e1, to + 4 * stride, add);
        Give(f0, f1, to + 5 * stride, add);
        Give(g0, g1, to + 6 * stride, add);
        Give(h0, h1, to + 7 * stride, add);

        static void Give(Vector128<float> low, Vector128<float> high, float* to, bool add)
        {
            if (add) (low, high) = (Vector128.Load(to) + low, Vector128.Load(to + 4) + high);
            low.Store(to);
            high.Store(to + 4);
        }
    }
}

/// <summary>A matrix as panels are packed from it.</summary>
internal readonly unsafe struct MatrixOperand
{
    /// <summary>The first element.</summary>
    public byte* Data { get; init; }

    /// <summary>From one element to the next across the panel, along rows of left or columns of right.</summary>
    public long AcrossStride { get; init; }

    /// <summary>From one to the next along k; one of the two is 1.</summary>
    public long AlongStride { get; init; }

    private int Size { get; init; }

    public MatrixOperand(Tensor matrix, int across)
    {
        (AcrossStride, AlongStride, Size) = (matrix.stride(across), matrix.stride(1 - across), (int)matrix.element_size());
        Data = matrix.DataPointer;
        // Of one row or column the stride means nothing.
        if (AcrossStride != 1 && AlongStride != 1)
        {
            if (matrix.size(across) <= 1) AcrossStride = 1;
            else AlongStride = 1;
        }
    }

    /// <summary>The same from another row or column on.</summary>
    public MatrixOperand From(long first) => this with { Data = Data + first * AcrossStride * Size };
}

/// <summary>What is multiplied, and what becomes of the sums.</summary>
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

    /// <summary>Whether a result of float32 is added to.</summary>
    public required bool Adds { get; init; }
}

/// <summary>Memory of a thread that is used again, and freed with the thread.</summary>
internal sealed unsafe class PackedMemory
{
    private void* data;
    private long capacity;

    ~PackedMemory() => NativeMemory.AlignedFree(data);

    public void* Room(long bytes)
    {
        if (bytes <= capacity) return data;
        NativeMemory.AlignedFree(data);
        data = NativeMemory.AlignedAlloc((nuint)bytes, 64);
        capacity = bytes;
        return data;
    }
}
