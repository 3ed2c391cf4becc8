using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Kernels;

/// <summary>Float32 numbers that one SIMD instruction handles: a loop written once over <typeparamref name="T"/> is compiled for each
/// width.</summary>
/// <remarks>Every width computes each lane to the same bits, <see cref="Lanes1"/> too, which therefore does the ends of rows.</remarks>
/// <typeparam name="T">Itself.</typeparam>
internal unsafe interface ILanes<T> where T : unmanaged, ILanes<T>
{
    /// <summary>How many numbers.</summary>
    static abstract int Count { get; }

    /// <summary>The same number in every lane.</summary>
    static abstract T Broadcast(float value);

    static abstract T Load(float* source);

    static abstract void Store(T value, float* target);

    /// <summary>Widens bfloat16 bits.</summary>
    static abstract T LoadBFloat16(ushort* source);

    /// <summary>Widens every second one of 2·Count bfloat16 bits, from the first on.</summary>
    static abstract T LoadBFloat16Even(ushort* source);

    /// <summary>Widens every second one of 2·Count bfloat16 bits, from the second on.</summary>
    static abstract T LoadBFloat16Odd(ushort* source);

    /// <summary>Every second one of 2·Count numbers, from the first on.</summary>
    static abstract T LoadEven(float* source);

    /// <summary>Every second one of 2·Count numbers, from the second on.</summary>
    static abstract T LoadOdd(float* source);

    /// <summary>Integers of 8 bits.</summary>
    static abstract T LoadInt8(sbyte* source);

    /// <summary>Rounds to bfloat16, to nearest, ties to even; NaN stays NaN.</summary>
    static abstract void StoreBFloat16(T value, ushort* target);

    static abstract T operator +(T a, T b);

    static abstract T operator -(T a, T b);

    static abstract T operator *(T a, T b);

    static abstract T operator /(T a, T b);

    static abstract T operator -(T a);

    /// <summary>a·b + c, rounded once where the processor can.</summary>
    static abstract T MultiplyAdd(T a, T b, T c);

    static abstract T Abs(T a);

    static abstract T Sqrt(T a);

    /// <summary>The smaller; NaN where <paramref name="b"/> is, whatever the processor does about <paramref name="a"/>.</summary>
    static abstract T MinNative(T a, T b);

    /// <summary>The larger; NaN where <paramref name="b"/> is, whatever the processor does about <paramref name="a"/>.</summary>
    static abstract T MaxNative(T a, T b);

    /// <summary>One number where a &lt; b, the other elsewhere.</summary>
    static abstract T SelectLess(T a, T b, T then, T otherwise);

    /// <summary>The magnitude of one with the sign of the other.</summary>
    static abstract T CopySign(T magnitude, T sign);

    /// <summary>The bits as an integer, plus <paramref name="add"/>, shifted left by 23: 2ⁿ from a number whose low bits hold n.</summary>
    static abstract T ExponentFromBits(T a, int add);

    /// <summary>The sum over lanes.</summary>
    static abstract float Sum(T a);

    /// <summary>The sums over lanes of four, each the bits of <see cref="Sum"/>.</summary>
    static abstract Vector128<float> Sums(T a, T b, T c, T d);

    /// <summary>The largest of the lanes.</summary>
    static abstract float Max(T a);
}

/// <summary>A loop over float32 numbers, written for any width of vector.</summary>
internal interface ILoop
{
    /// <summary>Runs it.</summary>
    void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>;
}

/// <summary>Which width to run a loop in.</summary>
internal static class Lanes
{
    /// <summary>How loops over vectors are to be compiled: fully from the first call on, and each for itself, because the compiler stops
    /// inlining operations once a method has grown too large.</summary>
    public const MethodImplOptions Loop = MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization;

    /// <summary>The widest vector that this processor has, in float32 numbers.</summary>
    public static int Widest { get; } = Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;

    /// <summary>Whether loops over vectors pay on this processor.</summary>
    public static bool IsSupported => Vector128.IsHardwareAccelerated && BitConverter.IsLittleEndian;

    /// <summary>Runs a loop in the widest vectors of this processor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TLoop>(TLoop loop, long begin, long end) where TLoop : ILoop
    {
        if (Vector512.IsHardwareAccelerated) loop.Run<Lanes16>(begin, end);
        else if (Vector256.IsHardwareAccelerated) loop.Run<Lanes8>(begin, end);
        else loop.Run<Lanes4>(begin, end);
    }
}

/// <summary>512 bits: AVX-512.</summary>
internal readonly unsafe struct Lanes16(Vector512<float> value) : ILanes<Lanes16>
{
    private readonly Vector512<float> value = value;

    public static int Count => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Broadcast(float value) => new(Vector512.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Load(float* source) => new(Vector512.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes16 value, float* target) => value.value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadBFloat16(ushort* source) =>
        new((Vector512.WidenLower(Vector256.Load(source).ToVector512Unsafe()) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadBFloat16Even(ushort* source) => new((Vector512.Load((uint*)source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadBFloat16Odd(ushort* source) => new((Vector512.Load((uint*)source) & Vector512.Create(0xFFFF0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadEven(float* source)
    {
        Vector512<int> even = Vector512<int>.Indices << 1;
        if (Avx512F.IsSupported) return new(Avx512F.PermuteVar16x32x2(Vector512.Load(source), even, Vector512.Load(source + 16)));
        return new(Vector512.Create(Lanes8.LoadEven(source).Value, Lanes8.LoadEven(source + 16).Value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadOdd(float* source)
    {
        Vector512<int> odd = (Vector512<int>.Indices << 1) + Vector512<int>.One;
        if (Avx512F.IsSupported) return new(Avx512F.PermuteVar16x32x2(Vector512.Load(source), odd, Vector512.Load(source + 16)));
        return new(Vector512.Create(Lanes8.LoadOdd(source).Value, Lanes8.LoadOdd(source + 16).Value));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadInt8(sbyte* source) => new(BlockQuantization.Load16(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBFloat16(Lanes16 value, ushort* target)
    {
        Vector512<uint> bits = value.value.AsUInt32();
        Vector512<uint> rounded = (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        rounded = Vector512.ConditionalSelect(Vector512.Equals(value.value, value.value).AsUInt32(), rounded, Vector512.Create(0x7FC0u));
        Vector256.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator +(Lanes16 a, Lanes16 b) => new(a.value + b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator -(Lanes16 a, Lanes16 b) => new(a.value - b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator *(Lanes16 a, Lanes16 b) => new(a.value * b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator /(Lanes16 a, Lanes16 b) => new(a.value / b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator -(Lanes16 a) => new(-a.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 MultiplyAdd(Lanes16 a, Lanes16 b, Lanes16 c) => new(Vector512.MultiplyAddEstimate(a.value, b.value, c.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Abs(Lanes16 a) => new(Vector512.Abs(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Sqrt(Lanes16 a) => new(Vector512.Sqrt(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 MinNative(Lanes16 a, Lanes16 b) => new(Vector512.MinNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 MaxNative(Lanes16 a, Lanes16 b) => new(Vector512.MaxNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 SelectLess(Lanes16 a, Lanes16 b, Lanes16 then, Lanes16 otherwise) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a.value, b.value), then.value, otherwise.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 CopySign(Lanes16 magnitude, Lanes16 sign) => new(Vector512.CopySign(magnitude.value, sign.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 ExponentFromBits(Lanes16 a, int add) => new(((a.value.AsInt32() + Vector512.Create(add)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes16 a) => Lanes8.Sum(Halves(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Lanes16 a, Lanes16 b, Lanes16 c, Lanes16 d) =>
        Lanes8.Sums(Halves(a), Halves(b), Halves(c), Halves(d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes8 Halves(Lanes16 a) => new(a.value.GetLower() + a.value.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes16 a) => Lanes8.Max(new(Vector256.Max(a.value.GetLower(), a.value.GetUpper())));
}

/// <summary>256 bits: AVX2.</summary>
internal readonly unsafe struct Lanes8(Vector256<float> value) : ILanes<Lanes8>
{
    private readonly Vector256<float> value = value;

    public Vector256<float> Value => value;

    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Broadcast(float value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Load(float* source) => new(Vector256.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes8 value, float* target) => value.value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadBFloat16(ushort* source) =>
        new((Vector256.WidenLower(Vector128.Load(source).ToVector256Unsafe()) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadBFloat16Even(ushort* source) => new((Vector256.Load((uint*)source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadBFloat16Odd(ushort* source) => new((Vector256.Load((uint*)source) & Vector256.Create(0xFFFF0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadEven(float* source) => new(Vector256.Create(Lanes4.LoadEven(source).Value, Lanes4.LoadEven(source + 8).Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadOdd(float* source) => new(Vector256.Create(Lanes4.LoadOdd(source).Value, Lanes4.LoadOdd(source + 8).Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadInt8(sbyte* source) => new(BlockQuantization.Load8(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBFloat16(Lanes8 value, ushort* target)
    {
        Vector256<uint> bits = value.value.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        rounded = Vector256.ConditionalSelect(Vector256.Equals(value.value, value.value).AsUInt32(), rounded, Vector256.Create(0x7FC0u));
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator +(Lanes8 a, Lanes8 b) => new(a.value + b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator -(Lanes8 a, Lanes8 b) => new(a.value - b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator *(Lanes8 a, Lanes8 b) => new(a.value * b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator /(Lanes8 a, Lanes8 b) => new(a.value / b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator -(Lanes8 a) => new(-a.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 MultiplyAdd(Lanes8 a, Lanes8 b, Lanes8 c) => new(Vector256.MultiplyAddEstimate(a.value, b.value, c.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Abs(Lanes8 a) => new(Vector256.Abs(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Sqrt(Lanes8 a) => new(Vector256.Sqrt(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 MinNative(Lanes8 a, Lanes8 b) => new(Vector256.MinNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 MaxNative(Lanes8 a, Lanes8 b) => new(Vector256.MaxNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 SelectLess(Lanes8 a, Lanes8 b, Lanes8 then, Lanes8 otherwise) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a.value, b.value), then.value, otherwise.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 CopySign(Lanes8 magnitude, Lanes8 sign) => new(Vector256.CopySign(magnitude.value, sign.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 ExponentFromBits(Lanes8 a, int add) => new(((a.value.AsInt32() + Vector256.Create(add)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes8 a) => Lanes4.Sum(Halves(a));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Lanes8 a, Lanes8 b, Lanes8 c, Lanes8 d) => Lanes4.Sums(Halves(a), Halves(b), Halves(c), Halves(d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Lanes4 Halves(Lanes8 a) => new(a.value.GetLower() + a.value.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes8 a) => Lanes4.Max(new(Vector128.Max(a.value.GetLower(), a.value.GetUpper())));
}

/// <summary>128 bits: NEON, SSE.</summary>
internal readonly unsafe struct Lanes4(Vector128<float> value) : ILanes<Lanes4>
{
    private readonly Vector128<float> value = value;

    public Vector128<float> Value => value;

    public static int Count => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Broadcast(float value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Load(float* source) => new(Vector128.Load(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes4 value, float* target) => value.value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadBFloat16(ushort* source) =>
        new((Vector128.WidenLower(Vector64.Load(source).ToVector128Unsafe()) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadBFloat16Even(ushort* source) => new((Vector128.Load((uint*)source) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadBFloat16Odd(ushort* source) => new((Vector128.Load((uint*)source) & Vector128.Create(0xFFFF0000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadEven(float* source)
    {
        if (Sse.IsSupported) return new(Sse.Shuffle(Vector128.Load(source), Vector128.Load(source + 4), 0b10_00_10_00));
        if (AdvSimd.Arm64.IsSupported) return new(AdvSimd.Arm64.UnzipEven(Vector128.Load(source), Vector128.Load(source + 4)));
        return new(Vector128.Create(source[0], source[2], source[4], source[6]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadOdd(float* source)
    {
        if (Sse.IsSupported) return new(Sse.Shuffle(Vector128.Load(source), Vector128.Load(source + 4), 0b11_01_11_01));
        if (AdvSimd.Arm64.IsSupported) return new(AdvSimd.Arm64.UnzipOdd(Vector128.Load(source), Vector128.Load(source + 4)));
        return new(Vector128.Create(source[1], source[3], source[5], source[7]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadInt8(sbyte* source) => new(BlockQuantization.Load4(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBFloat16(Lanes4 value, ushort* target)
    {
        Vector128<uint> bits = value.value.AsUInt32();
        Vector128<uint> rounded = (bits + Vector128.Create(0x7FFFu) + ((bits >> 16) & Vector128<uint>.One)) >> 16;
        rounded = Vector128.ConditionalSelect(Vector128.Equals(value.value, value.value).AsUInt32(), rounded, Vector128.Create(0x7FC0u));
        Vector64.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(target);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator +(Lanes4 a, Lanes4 b) => new(a.value + b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator -(Lanes4 a, Lanes4 b) => new(a.value - b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator *(Lanes4 a, Lanes4 b) => new(a.value * b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator /(Lanes4 a, Lanes4 b) => new(a.value / b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator -(Lanes4 a) => new(-a.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 MultiplyAdd(Lanes4 a, Lanes4 b, Lanes4 c) => new(Vector128.MultiplyAddEstimate(a.value, b.value, c.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Abs(Lanes4 a) => new(Vector128.Abs(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Sqrt(Lanes4 a) => new(Vector128.Sqrt(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 MinNative(Lanes4 a, Lanes4 b) => new(Vector128.MinNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 MaxNative(Lanes4 a, Lanes4 b) => new(Vector128.MaxNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 SelectLess(Lanes4 a, Lanes4 b, Lanes4 then, Lanes4 otherwise) =>
        new(Vector128.ConditionalSelect(Vector128.LessThan(a.value, b.value), then.value, otherwise.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 CopySign(Lanes4 magnitude, Lanes4 sign) => new(Vector128.CopySign(magnitude.value, sign.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 ExponentFromBits(Lanes4 a, int add) => new(((a.value.AsInt32() + Vector128.Create(add)) << 23).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes4 a) => (a.value[0] + a.value[2]) + (a.value[1] + a.value[3]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Lanes4 a, Lanes4 b, Lanes4 c, Lanes4 d)
    {
        if (!Sse.IsSupported) return Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));
        // (a₀ + a₂, b₀ + b₂, a₁ + a₃, b₁ + b₃), and so of c and d
        Vector128<float> ab = Sse.UnpackLow(a.value, b.value) + Sse.UnpackHigh(a.value, b.value);
        Vector128<float> cd = Sse.UnpackLow(c.value, d.value) + Sse.UnpackHigh(c.value, d.value);
        return Sse.MoveLowToHigh(ab, cd) + Sse.MoveHighToLow(cd, ab);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes4 a) => MathF.Max(MathF.Max(a.value[0], a.value[2]), MathF.Max(a.value[1], a.value[3]));
}

/// <summary>One number: the ends of rows.</summary>
internal readonly unsafe struct Lanes1(float value) : ILanes<Lanes1>
{
    private readonly float value = value;

    public static int Count => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 Broadcast(float value) => new(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 Load(float* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes1 value, float* target) => *target = value.value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadBFloat16(ushort* source) => new(BitConverter.UInt32BitsToSingle((uint)*source << 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadBFloat16Even(ushort* source) => LoadBFloat16(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadBFloat16Odd(ushort* source) => LoadBFloat16(source + 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadEven(float* source) => new(source[0]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadOdd(float* source) => new(source[1]);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 LoadInt8(sbyte* source) => new(*source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreBFloat16(Lanes1 value, ushort* target)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value.value);
        *target = float.IsNaN(value.value) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 operator +(Lanes1 a, Lanes1 b) => new(a.value + b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 operator -(Lanes1 a, Lanes1 b) => new(a.value - b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 operator *(Lanes1 a, Lanes1 b) => new(a.value * b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 operator /(Lanes1 a, Lanes1 b) => new(a.value / b.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 operator -(Lanes1 a) => new(-a.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 MultiplyAdd(Lanes1 a, Lanes1 b, Lanes1 c) => new(float.MultiplyAddEstimate(a.value, b.value, c.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 Abs(Lanes1 a) => new(MathF.Abs(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 Sqrt(Lanes1 a) => new(MathF.Sqrt(a.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 MinNative(Lanes1 a, Lanes1 b) => new(float.MinNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 MaxNative(Lanes1 a, Lanes1 b) => new(float.MaxNative(a.value, b.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 SelectLess(Lanes1 a, Lanes1 b, Lanes1 then, Lanes1 otherwise) => a.value < b.value ? then : otherwise;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 CopySign(Lanes1 magnitude, Lanes1 sign) => new(MathF.CopySign(magnitude.value, sign.value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes1 ExponentFromBits(Lanes1 a, int add) =>
        new(BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(a.value) + add) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes1 a) => a.value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Lanes1 a, Lanes1 b, Lanes1 c, Lanes1 d) => Vector128.Create(a.value, b.value, c.value, d.value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes1 a) => a.value;
}
