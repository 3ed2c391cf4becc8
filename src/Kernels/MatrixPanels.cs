// A panel holds a few rows of left, or columns of right, side by side for one k after the other.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A matrix from which panels are packed.</summary>
internal readonly unsafe struct MatrixOperand
{
    public byte* Data { get; init; }

    /// <summary>From one element to the next across the panel: along rows of left, or columns of right.</summary>
    public long AcrossStride { get; init; }

    /// <summary>From one element to the next along k; one of the two strides is 1.</summary>
    public long AlongStride { get; init; }

    private int Size { get; init; }

    public MatrixOperand(Tensor matrix, int across)
    {
        (AcrossStride, AlongStride, Size) = (matrix.stride(across), matrix.stride(1 - across), (int)matrix.element_size());
        Data = matrix.DataPointer;
        // The stride of a single row or column is arbitrary.
        if (AcrossStride != 1 && AlongStride != 1)
        {
            if (matrix.size(across) <= 1) AcrossStride = 1;
            else AlongStride = 1;
        }
    }

    /// <summary>The part from the row or column first on.</summary>
    public MatrixOperand From(long first) => this with { Data = Data + first * AcrossStride * Size };
}

/// <summary>Packs the panels that <see cref="MatrixProduct"/> multiplies.</summary>
internal static unsafe class MatrixPanels
{
    // Rows of left, or columns of right, from the first on, for each k one after the other. Past count a panel may hold anything: it only
    // enters sums that nobody reads.
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

    // Each row of left, or column of right, has its k contiguous.
    internal static void PackAlong<T>(T* data, long stride, int count, int width, int depth, float* to) where T : unmanaged
    {
        // In blocks of 16 by 16 as far as they go, unless what the last four overrun would land in them.
        bool blocks = typeof(T) == typeof(float) && Avx512F.IsSupported && width % 4 == 0;
        int deep = blocks ? depth / 16 * 16 : 0, wide = deep > 0 ? count / 16 * 16 : 0;
        for (int i = 0; i < deep && wide > 0; i += 16)
        for (int j = 0; j < wide; j += 16) Transposition.Sixteen((float*)data + j * stride + i, stride, to + i * width + j, width);
        if (wide < width) PackAlong(data, stride, count, width, wide, 0, deep, to);
        PackAlong(data, stride, count, width, 0, deep, depth, to);
    }

    // Transposes eight k of four at a time, the last four first: what they overrun is overwritten.
    [MethodImpl(Lanes.Loop)]
    private static void PackAlong<T>(T* data, long stride, int count, int width, int first, int begin, int end, float* to)
        where T : unmanaged
    {
        int i = begin;
        for (; i + 8 <= end; i += 8)
        for (int j = (width - 1) / 4 * 4; j >= first; j -= 4)
        {
            int last = count - 1;
            T* from = data + i;
            TransposeEight(from + Math.Min(j, last) * stride, from + Math.Min(j + 1, last) * stride, from + Math.Min(j + 2, last) * stride,
                from + Math.Min(j + 3, last) * stride, to + i * width + j, width);
        }
        for (; i < end; i++)
        for (int j = first; j < width; j++)
            to[i * width + j] = Load(data + Math.Min(j, count - 1) * stride + i);
    }

    // 4 × 8 → 8 × 4
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeEight<T>(T* a, T* b, T* c, T* d, float* to, int width) where T : unmanaged
    {
        (Vector128<float> a0, Vector128<float> a1) = Load4And4(a);
        (Vector128<float> b0, Vector128<float> b1) = Load4And4(b);
        (Vector128<float> c0, Vector128<float> c1) = Load4And4(c);
        (Vector128<float> d0, Vector128<float> d1) = Load4And4(d);
        Transposition.Four(a0, b0, c0, d0, to, width);
        Transposition.Four(a1, b1, c1, d1, to + 4 * width, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Load<T>(T* from) where T : unmanaged =>
        typeof(T) == typeof(float) ? *(float*)from : BitConverter.UInt32BitsToSingle((uint)*(ushort*)from << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Load4<T>(T* from) where T : unmanaged =>
        typeof(T) == typeof(float)
            ? Vector128.Load((float*)from)
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
}

/// <summary>Reusable memory of one thread, freed with the thread.</summary>
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
