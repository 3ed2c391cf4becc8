using System.Runtime.CompilerServices;

namespace Trainer.Kernels;

/// <summary>Products of small matrices in a near cache: a block of the result stays in registers.</summary>
/// <remarks>An element is one chain of multiply-adds over the inner dimension, whatever block it is in: its bits do not depend on how a
/// matrix is cut.</remarks>
internal static unsafe class TileProduct<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Rows of the result computed together, as many as fill the registers: 16 of 256 bits, or 32 of other widths.</summary>
    public static int Rows => T.Count == 8 ? 6 : 8;

    /// <summary>c (rows, width) = or += a (rows, depth) · b (depth, width) for up to <see cref="Rows"/> rows and whole vectors of columns.
    /// Element (m, k) of a is at m·row + k·step; b and c lie row by row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Multiply(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        if (rows == Rows)
        {
            if (T.Count == 8) Six(width, depth, a, row, step, b, bStride, c, cStride, add);
            else Eight(width, depth, a, row, step, b, bStride, c, cStride, add);
        }
        else
        {
            Rest(rows, width, depth, a, row, step, b, bStride, c, cStride, add);
        }
    }

    /// <summary>The same for any number of rows.</summary>
    public static void MultiplyAll(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        for (; rows > 0; rows -= Rows, a += Rows * row, c += Rows * cStride)
            Multiply(Math.Min(Rows, rows), width, depth, a, row, step, b, bStride, c, cStride, add);
    }

    private static void Rest(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        for (; rows >= 4; rows -= 4, a += 4 * row, c += 4 * cStride) Four(width, depth, a, row, step, b, bStride, c, cStride, add);
        for (; rows > 0; rows--, a += row, c += cStride) One(width, depth, a, step, b, bStride, c, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void Eight(
        int width, int depth, float* a0, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row, a4 = a3 + row, a5 = a4 + row, a6 = a5 + row, a7 = a6 + row;
        int n = 0;
        for (; n <= width - 2 * T.Count; n += 2 * T.Count)
        {
            T c00 = T.Broadcast(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
            T c40 = c00, c41 = c00, c50 = c00, c51 = c00, c60 = c00, c61 = c00, c70 = c00, c71 = c00;
            float* to = c + n, from = b + n;
            if (add)
            {
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + cStride), T.Load(to + cStride + T.Count));
                (c20, c21) = (T.Load(to + 2 * cStride), T.Load(to + 2 * cStride + T.Count));
                (c30, c31) = (T.Load(to + 3 * cStride), T.Load(to + 3 * cStride + T.Count));
                (c40, c41) = (T.Load(to + 4 * cStride), T.Load(to + 4 * cStride + T.Count));
                (c50, c51) = (T.Load(to + 5 * cStride), T.Load(to + 5 * cStride + T.Count));
                (c60, c61) = (T.Load(to + 6 * cStride), T.Load(to + 6 * cStride + T.Count));
                (c70, c71) = (T.Load(to + 7 * cStride), T.Load(to + 7 * cStride + T.Count));
            }
            nint i = 0;
            for (int k = depth; k > 0; k--)
            {
                T b0 = T.Load(from), b1 = T.Load(from + T.Count);
                T x = T.Broadcast(a0[i]);
                c00 = T.MultiplyAdd(x, b0, c00);
                c01 = T.MultiplyAdd(x, b1, c01);
                x = T.Broadcast(a1[i]);
                c10 = T.MultiplyAdd(x, b0, c10);
                c11 = T.MultiplyAdd(x, b1, c11);
                x = T.Broadcast(a2[i]);
                c20 = T.MultiplyAdd(x, b0, c20);
                c21 = T.MultiplyAdd(x, b1, c21);
                x = T.Broadcast(a3[i]);
                c30 = T.MultiplyAdd(x, b0, c30);
                c31 = T.MultiplyAdd(x, b1, c31);
                x = T.Broadcast(a4[i]);
                c40 = T.MultiplyAdd(x, b0, c40);
                c41 = T.MultiplyAdd(x, b1, c41);
                x = T.Broadcast(a5[i]);
                c50 = T.MultiplyAdd(x, b0, c50);
                c51 = T.MultiplyAdd(x, b1, c51);
                x = T.Broadcast(a6[i]);
                c60 = T.MultiplyAdd(x, b0, c60);
                c61 = T.MultiplyAdd(x, b1, c61);
                x = T.Broadcast(a7[i]);
                c70 = T.MultiplyAdd(x, b0, c70);
                c71 = T.MultiplyAdd(x, b1, c71);
                i += step;
                from += bStride;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + cStride);
            Store(c20, c21, to + 2 * cStride);
            Store(c30, c31, to + 3 * cStride);
            Store(c40, c41, to + 4 * cStride);
            Store(c50, c51, to + 5 * cStride);
            Store(c60, c61, to + 6 * cStride);
            Store(c70, c71, to + 7 * cStride);
        }
        if (n < width)
        {
            FourByOne(depth, a0, row, step, b + n, bStride, c + n, cStride, add);
            FourByOne(depth, a4, row, step, b + n, bStride, c + n + 4 * cStride, cStride, add);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Six(int width, int depth, float* a0, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row, a4 = a3 + row, a5 = a4 + row;
        int n = 0;
        for (; n <= width - 2 * T.Count; n += 2 * T.Count)
        {
            T c00 = T.Broadcast(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
            T c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
            float* to = c + n, from = b + n;
            if (add)
            {
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + cStride), T.Load(to + cStride + T.Count));
                (c20, c21) = (T.Load(to + 2 * cStride), T.Load(to + 2 * cStride + T.Count));
                (c30, c31) = (T.Load(to + 3 * cStride), T.Load(to + 3 * cStride + T.Count));
                (c40, c41) = (T.Load(to + 4 * cStride), T.Load(to + 4 * cStride + T.Count));
                (c50, c51) = (T.Load(to + 5 * cStride), T.Load(to + 5 * cStride + T.Count));
            }
            nint i = 0;
            for (int k = depth; k > 0; k--)
            {
                T b0 = T.Load(from), b1 = T.Load(from + T.Count);
                T x = T.Broadcast(a0[i]);
                c00 = T.MultiplyAdd(x, b0, c00);
                c01 = T.MultiplyAdd(x, b1, c01);
                x = T.Broadcast(a1[i]);
                c10 = T.MultiplyAdd(x, b0, c10);
                c11 = T.MultiplyAdd(x, b1, c11);
                x = T.Broadcast(a2[i]);
                c20 = T.MultiplyAdd(x, b0, c20);
                c21 = T.MultiplyAdd(x, b1, c21);
                x = T.Broadcast(a3[i]);
                c30 = T.MultiplyAdd(x, b0, c30);
                c31 = T.MultiplyAdd(x, b1, c31);
                x = T.Broadcast(a4[i]);
                c40 = T.MultiplyAdd(x, b0, c40);
                c41 = T.MultiplyAdd(x, b1, c41);
                x = T.Broadcast(a5[i]);
                c50 = T.MultiplyAdd(x, b0, c50);
                c51 = T.MultiplyAdd(x, b1, c51);
                i += step;
                from += bStride;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + cStride);
            Store(c20, c21, to + 2 * cStride);
            Store(c30, c31, to + 3 * cStride);
            Store(c40, c41, to + 4 * cStride);
            Store(c50, c51, to + 5 * cStride);
        }
        if (n < width)
        {
            FourByOne(depth, a0, row, step, b + n, bStride, c + n, cStride, add);
            OneByOne(depth, a4, step, b + n, bStride, c + n + 4 * cStride, add);
            OneByOne(depth, a5, step, b + n, bStride, c + n + 5 * cStride, add);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Four(int width, int depth, float* a0, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row;
        int n = 0;
        for (; n <= width - 2 * T.Count; n += 2 * T.Count)
        {
            T c00 = T.Broadcast(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
            float* to = c + n, from = b + n;
            if (add)
            {
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + cStride), T.Load(to + cStride + T.Count));
                (c20, c21) = (T.Load(to + 2 * cStride), T.Load(to + 2 * cStride + T.Count));
                (c30, c31) = (T.Load(to + 3 * cStride), T.Load(to + 3 * cStride + T.Count));
            }
            nint i = 0;
            for (int k = depth; k > 0; k--)
            {
                T b0 = T.Load(from), b1 = T.Load(from + T.Count);
                T x = T.Broadcast(a0[i]);
                c00 = T.MultiplyAdd(x, b0, c00);
                c01 = T.MultiplyAdd(x, b1, c01);
                x = T.Broadcast(a1[i]);
                c10 = T.MultiplyAdd(x, b0, c10);
                c11 = T.MultiplyAdd(x, b1, c11);
                x = T.Broadcast(a2[i]);
                c20 = T.MultiplyAdd(x, b0, c20);
                c21 = T.MultiplyAdd(x, b1, c21);
                x = T.Broadcast(a3[i]);
                c30 = T.MultiplyAdd(x, b0, c30);
                c31 = T.MultiplyAdd(x, b1, c31);
                i += step;
                from += bStride;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + cStride);
            Store(c20, c21, to + 2 * cStride);
            Store(c30, c31, to + 3 * cStride);
        }
        if (n < width) FourByOne(depth, a0, row, step, b + n, bStride, c + n, cStride, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void One(int width, int depth, float* a, nint step, float* b, nint bStride, float* c, bool add)
    {
        int n = 0;
        for (; n <= width - 4 * T.Count; n += 4 * T.Count)
        {
            T c0 = T.Broadcast(0), c1 = c0, c2 = c0, c3 = c0;
            float* to = c + n, from = b + n;
            if (add) (c0, c1, c2, c3) = (T.Load(to), T.Load(to + T.Count), T.Load(to + 2 * T.Count), T.Load(to + 3 * T.Count));
            nint i = 0;
            for (int k = depth; k > 0; k--)
            {
                T x = T.Broadcast(a[i]);
                c0 = T.MultiplyAdd(x, T.Load(from), c0);
                c1 = T.MultiplyAdd(x, T.Load(from + T.Count), c1);
                c2 = T.MultiplyAdd(x, T.Load(from + 2 * T.Count), c2);
                c3 = T.MultiplyAdd(x, T.Load(from + 3 * T.Count), c3);
                i += step;
                from += bStride;
            }
            Store(c0, c1, to);
            Store(c2, c3, to + 2 * T.Count);
        }
        for (; n < width; n += T.Count) OneByOne(depth, a, step, b + n, bStride, c + n, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void FourByOne(int depth, float* a0, nint row, nint step, float* b, nint bStride, float* c, nint cStride, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row;
        T c0 = T.Broadcast(0), c1 = c0, c2 = c0, c3 = c0;
        if (add) (c0, c1, c2, c3) = (T.Load(c), T.Load(c + cStride), T.Load(c + 2 * cStride), T.Load(c + 3 * cStride));
        nint i = 0;
        for (int k = depth; k > 0; k--)
        {
            T line = T.Load(b);
            c0 = T.MultiplyAdd(T.Broadcast(a0[i]), line, c0);
            c1 = T.MultiplyAdd(T.Broadcast(a1[i]), line, c1);
            c2 = T.MultiplyAdd(T.Broadcast(a2[i]), line, c2);
            c3 = T.MultiplyAdd(T.Broadcast(a3[i]), line, c3);
            i += step;
            b += bStride;
        }
        T.Store(c0, c);
        T.Store(c1, c + cStride);
        T.Store(c2, c + 2 * cStride);
        T.Store(c3, c + 3 * cStride);
    }

    [MethodImpl(Lanes.Loop)]
    private static void OneByOne(int depth, float* a, nint step, float* b, nint bStride, float* c, bool add)
    {
        T sum = add ? T.Load(c) : T.Broadcast(0);
        for (int k = depth; k > 0; k--)
        {
            sum = T.MultiplyAdd(T.Broadcast(*a), T.Load(b), sum);
            a += step;
            b += bStride;
        }
        T.Store(sum, c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(T low, T high, float* target)
    {
        T.Store(low, target);
        T.Store(high, target + T.Count);
    }
}
