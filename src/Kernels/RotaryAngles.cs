using System.Runtime.CompilerServices;
using TorchSharp;

namespace Trainer.Kernels;

/// <summary>The angles by which pairs of a head's first R elements (RotatedDim) are rotated at each position (Su et al. 2021, arXiv
/// 2104.09864). Table is float32 (T, W), or (B, T, W) where positions differ by sequence: R/2 each of [cos | cos | −sin | sin] for pairs
/// that are R/2 apart, or, interleaved, alternating cos and sin for adjacent pairs.</summary>
public readonly record struct RotaryAngles(torch.Tensor Table, long RotatedDim, bool Interleaved);

internal static unsafe class RotaryLoops<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Rotates, or rotates back, the rows [first, first + rows) of a sequence, in place.</summary>
    public static void Rotate(in FlashCall call, long batch, long first, long rows, float* x, bool backwards)
    {
        if (call.Angles is null) return;
        float* angles = call.Angles + batch * call.AngleBatchStride + first * call.AngleRowStride;
        for (long row = 0; row < rows; row++, x += call.Width, angles += call.AngleRowStride)
        {
            if (call.Interleaved) RotateInterleaved(x, angles, call.RotatedDim, backwards ? -1 : 1);
            else RotateHalves(x, angles, call.RotatedDim / 2, backwards ? -1 : 1);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void RotateHalves(float* x, float* angles, int half, float sign)
    {
        int i = 0;
        T signs = T.Broadcast(sign);
        for (; i <= half - T.Count; i += T.Count)
        {
            T a = T.Load(x + i), b = T.Load(x + half + i), cos = T.Load(angles + i), sin = T.Load(angles + 3 * half + i) * signs;
            T.Store(a * cos - b * sin, x + i);
            T.Store(b * cos + a * sin, x + half + i);
        }
        for (; i < half; i++)
        {
            (float a, float b, float cos, float sin) = (x[i], x[half + i], angles[i], sign * angles[3 * half + i]);
            (x[i], x[half + i]) = (a * cos - b * sin, b * cos + a * sin);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void RotateInterleaved(float* x, float* angles, int rotated, float sign)
    {
        for (int i = 0; i < rotated; i += 2)
        {
            (float a, float b, float cos, float sin) = (x[i], x[i + 1], angles[i], sign * angles[i + 1]);
            (x[i], x[i + 1]) = (a * cos - b * sin, b * cos + a * sin);
        }
    }
}
