using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>What attention does with tiles of up to 64 queries besides multiplying them.</summary>
internal static unsafe class TileLoops<T> where T : unmanaged, ILanes<T>
{
    private const int Rows = FlashCall.TileRows;

    /// <summary>x (rows, D) → factor·xᵀ (D, 64); rows up to padded become zero, in x too.</summary>
    [MethodImpl(Lanes.Loop)]
    public static void Transpose(float* x, int rows, int padded, int width, float factor, float* to)
    {
        NativeMemory.Clear(x + rows * width, (nuint)((padded - rows) * width * sizeof(float)));
        for (int m = 0; m < padded; m += 4)
        {
            float* row = x + m * width, target = to + m;
            for (int i = 0; i < width; i += 4) Transposition.Four(row + i, width, factor, target + i * Rows, Rows);
        }
    }

    /// <summary>Multiplies each row of x (rows, D) by its factor, in place.</summary>
    [MethodImpl(Lanes.Loop)]
    public static void Scale(int rows, int width, float* factors, float* x)
    {
        for (int m = 0; m < rows; m++, x += width)
        {
            if (factors[m] == 1) continue;
            T factor = T.Broadcast(factors[m]);
            for (int d = 0; d < width; d += T.Count) T.Store(T.Load(x + d) * factor, x + d);
        }
    }

    [MethodImpl(Lanes.Loop)]
    public static float Dot(float* a, float* b, int width)
    {
        T total = T.Broadcast(0);
        for (int d = 0; d < width; d += T.Count) total = T.MultiplyAdd(T.Load(a + d), T.Load(b + d), total);
        return T.Sum(total);
    }
}
