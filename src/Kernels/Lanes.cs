using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Trainer.Kernels;

/// <summary>float32 numbers in one SIMD register: a loop written once over <typeparamref name="T"/> is compiled for each width.</summary>
/// <remarks>Every width computes each lane to the same bits, <see cref="Lanes1"/> too, which therefore finishes rows.</remarks>
internal unsafe interface ILanes<T> where T : unmanaged, ILanes<T>
{
    static abstract int Count { get; }

    static abstract T Broadcast(float value);

    static abstract T Load(float* source);

    static abstract void Store(T value, float* target);

    static abstract T LoadBFloat16(ushort* source);

    /// <summary>The even ones of 2·Count bfloat16 numbers.</summary>
    static abstract T LoadBFloat16Even(ushort* source);

    static abstract T LoadBFloat16Odd(ushort* source);

    /// <summary>The even ones of 2·Count numbers.</summary>
    static abstract T LoadEven(float* source);

    static abstract T LoadOdd(float* source);

    static abstract T LoadInt8(sbyte* source);

    /// <summary>Rounds to nearest, ties to even; NaN stays NaN.</summary>
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

    /// <summary>The smaller; NaN where <paramref name="b"/> is, processor-dependent where only <paramref name="a"/> is.</summary>
    static abstract T MinNative(T a, T b);

    /// <summary>The larger; NaN where <paramref name="b"/> is, processor-dependent where only <paramref name="a"/> is.</summary>
    static abstract T MaxNative(T a, T b);

    /// <summary><paramref name="then"/> where a &lt; b, else <paramref name="otherwise"/>.</summary>
    static abstract T SelectLess(T a, T b, T then, T otherwise);

    static abstract T CopySign(T magnitude, T sign);

    /// <summary>The bits as an integer, plus <paramref name="add"/>, shifted left by 23: 2ⁿ from a number whose low bits hold n.</summary>
    static abstract T ExponentFromBits(T a, int add);

    static abstract float Sum(T a);

    /// <summary>Four sums over lanes, each the bits of <see cref="Sum"/>.</summary>
    static abstract Vector128<float> Sums(T a, T b, T c, T d);

    static abstract float Max(T a);
}

/// <summary>A loop over float32 numbers for any vector width.</summary>
internal interface ILoop
{
    void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>;
}

internal static class Lanes
{
    /// <summary>For vector loops: fully optimised from the first call, and never inlined, because the compiler stops inlining operations
    /// into a method that has grown too large.</summary>
    public const MethodImplOptions Loop = MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization;

    /// <summary>Lanes of the widest vector that this processor has.</summary>
    public static int Widest { get; } = Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;

    /// <summary>Lanes of the vectors in use; tests lower it.</summary>
    public static int Most { get; set; } = Widest;

    public static bool IsSupported => Vector128.IsHardwareAccelerated && BitConverter.IsLittleEndian;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TLoop>(TLoop loop, long begin, long end) where TLoop : ILoop
    {
        if (Most < Widest) RunNarrower(loop, begin, end);
        else if (Vector512.IsHardwareAccelerated) loop.Run<Lanes16>(begin, end);
        else if (Vector256.IsHardwareAccelerated) loop.Run<Lanes8>(begin, end);
        else loop.Run<Lanes4>(begin, end);
    }

    // Never inlined, so that callers are compiled for one width.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RunNarrower<TLoop>(TLoop loop, long begin, long end) where TLoop : ILoop
    {
        if (Most == 8) loop.Run<Lanes8>(begin, end);
        else loop.Run<Lanes4>(begin, end);
    }
}
