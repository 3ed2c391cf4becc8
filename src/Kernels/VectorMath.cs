using System.Runtime.CompilerServices;

namespace Trainer.Kernels;

/// <summary>Elementary functions, each to about two ulp of float32; every vector width gives the same bits.</summary>
internal static class VectorMath
{
    /// <summary>e^x: 0 below −87.3, where float32 becomes subnormal; at most e^88.3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Exp<T>(T x) where T : unmanaged, ILanes<T>
    {
        T lowest = T.Broadcast(-87.3f), round = T.Broadcast(12582912f); // 1.5·2²³: adding it rounds to an integer
        T bounded = T.MinNative(T.Broadcast(88.3f), T.MaxNative(lowest, x));
        T shifted = T.MultiplyAdd(bounded, T.Broadcast(1.44269504f), round), n = shifted - round;
        T r = T.MultiplyAdd(n, T.Broadcast(2.12194440e-4f), T.MultiplyAdd(n, T.Broadcast(-0.693359375f), bounded)); // x − n·ln 2
        // Cephes' expf: e^r = 1 + r + r²·p(r) on [−½ln 2, ½ln 2].
        T p = T.Broadcast(1.9875691500e-4f);
        p = T.MultiplyAdd(p, r, T.Broadcast(1.3981999507e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(8.3334519073e-3f));
        p = T.MultiplyAdd(p, r, T.Broadcast(4.1665795894e-2f));
        p = T.MultiplyAdd(p, r, T.Broadcast(1.6666665459e-1f));
        p = T.MultiplyAdd(p, r, T.Broadcast(5.0000001201e-1f));
        T power = (T.MultiplyAdd(p, r * r, r) + T.Broadcast(1)) * T.ExponentFromBits(shifted, 127);
        return T.SelectLess(x, lowest, T.Broadcast(0), power);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Sigmoid<T>(T x) where T : unmanaged, ILanes<T> => T.Broadcast(1) / (T.Broadcast(1) + Exp(-x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Tanh<T>(T x) where T : unmanaged, ILanes<T>
    {
        T magnitude = T.Abs(x), square = x * x;
        T far = T.Broadcast(1) - T.Broadcast(2) / (Exp(magnitude + magnitude) + T.Broadcast(1));
        // Cephes' tanhf near 0, where the difference would cancel.
        T p = T.Broadcast(-5.70498872745e-3f);
        p = T.MultiplyAdd(p, square, T.Broadcast(2.06390887954e-2f));
        p = T.MultiplyAdd(p, square, T.Broadcast(-5.37397155531e-2f));
        p = T.MultiplyAdd(p, square, T.Broadcast(1.33314422036e-1f));
        p = T.MultiplyAdd(p, square, T.Broadcast(-3.33332819422e-1f));
        return T.SelectLess(magnitude, T.Broadcast(0.625f), T.MultiplyAdd(p * square, x, x), T.CopySign(far, x));
    }

    /// <summary>Φ(x) = ½(1 + erf(x/√2)) to a few ulp in both tails; density is e^(−x²/2), without its constant.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T NormalDistribution<T>(T x, out T density) where T : unmanaged, ILanes<T>
    {
        density = Exp(T.Broadcast(-0.5f) * x * x);
        // Φ(−t) = e^(−t²/2)·u·p(u) for t ≥ 0, u = 1/(1 + 0.27t), in the manner of Hastings (Abramowitz and Stegun 26.2.17); p by Remez'
        // algorithm, p(1) = ½.
        T u = T.Broadcast(1) / T.MultiplyAdd(T.Broadcast(0.27f), T.Abs(x), T.Broadcast(1));
        T p = T.Broadcast(0.028914807f);
        p = T.MultiplyAdd(p, u, T.Broadcast(-0.12625301f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.16928683f));
        p = T.MultiplyAdd(p, u, T.Broadcast(-0.068615898f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.10739603f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.072241664f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.10175882f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.10755059f));
        p = T.MultiplyAdd(p, u, T.Broadcast(0.10772018f));
        T tail = p * u * density;
        return T.SelectLess(x, T.Broadcast(0), tail, T.Broadcast(1) - tail);
    }
}
