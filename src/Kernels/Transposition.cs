using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Kernels;

/// <summary>Transposes small blocks of float32 numbers in registers.</summary>
internal static unsafe class Transposition
{
    /// <summary>4 × 4, scaled by a factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Four(float* from, long stride, float factor, float* to, int width)
    {
        Vector128<float> scale = Vector128.Create(factor);
        Four(Vector128.Load(from) * scale, Vector128.Load(from + stride) * scale, Vector128.Load(from + 2 * stride) * scale,
            Vector128.Load(from + 3 * stride) * scale, to, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Four(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d, float* to, int width)
    {
        Vector128<float> ac0 = ZipLow(a, c), ac1 = ZipHigh(a, c), bd0 = ZipLow(b, d), bd1 = ZipHigh(b, d);
        ZipLow(ac0, bd0).Store(to);
        ZipHigh(ac0, bd0).Store(to + width);
        ZipLow(ac1, bd1).Store(to + 2 * width);
        ZipHigh(ac1, bd1).Store(to + 3 * width);
    }

    /// <summary>16 × 16 (AVX-512).</summary>
    [MethodImpl(Lanes.Loop)]
    public static void Sixteen(float* from, long stride, float* to, int width)
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

    // Columns 0, 4, 8 and 12 of four rows, then 1, 5, 9 and 13, and so on.
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

    // Four results of Rows4 become four whole columns.
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

    // a0 b0 a1 b1
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipLow(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackLow(a, b) : AdvSimd.Arm64.ZipLow(a, b);

    // a2 b2 a3 b3
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> ZipHigh(Vector128<float> a, Vector128<float> b) =>
        Sse.IsSupported ? Sse.UnpackHigh(a, b) : AdvSimd.Arm64.ZipHigh(a, b);
}
