using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

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
