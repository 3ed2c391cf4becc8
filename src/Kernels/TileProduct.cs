using System.Runtime.CompilerServices;

namespace Trainer.Kernels;

/// <summary>Products of small matrices that lie in a cache close by: a block of the result stays in registers.</summary>
/// <remarks>An element is a chain of multiply-adds in the order of what is summed over, whatever block it is in: its bits do not depend on
/// how a matrix is cut.</remarks>
/// <typeparam name="T">The vectors.</typeparam>
internal static unsafe class TileProduct<T> where T : unmanaged, ILanes<T>
{
    /// <summary>Rows of the result that are computed together: as many as there are registers for, 16 of 256 bits or 32 of
    /// others.</summary>
    public static int Rows => T.Count == 8 ? 6 : 8;

    /// <summary>c = or += a·b with c of up to <see cref="Rows"/> rows.</summary>
    /// <param name="rows">Rows of a and c.</param>
    /// <param name="width">Columns of b and c, a multiple of T's width.</param>
    /// <param name="depth">Columns of a, rows of b.</param>
    /// <param name="a">Element (m, k) stands at m·row + k·step.</param>
    /// <param name="row">From a row of a to the next.</param>
    /// <param name="step">From a column of a to the next.</param>
    /// <param name="b">Row by row.</param>
    /// <param name="ofB">From a row of b to the next.</param>
    /// <param name="c">Row by row.</param>
    /// <param name="ofC">From a row of c to the next.</param>
    /// <param name="add">Whether c grows, or is written.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Multiply(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        if (rows == Rows)
        {
            if (T.Count == 8) Six(width, depth, a, row, step, b, ofB, c, ofC, add);
            else Eight(width, depth, a, row, step, b, ofB, c, ofC, add);
        }
        else
        {
            Rest(rows, width, depth, a, row, step, b, ofB, c, ofC, add);
        }
    }

    /// <summary>c = or += a·b with any number of rows.</summary>
    public static void MultiplyAll(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        for (; rows > 0; rows -= Rows, a += Rows * row, c += Rows * ofC)
            Multiply(Math.Min(Rows, rows), width, depth, a, row, step, b, ofB, c, ofC, add);
    }

    private static void Rest(
        int rows, int width, int depth, float* a, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        for (; rows >= 4; rows -= 4, a += 4 * row, c += 4 * ofC) Four(width, depth, a, row, step, b, ofB, c, ofC, add);
        for (; rows > 0; rows--, a += row, c += ofC) One(width, depth, a, step, b, ofB, c, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void Eight(int width, int depth, float* a0, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
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
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + ofC), T.Load(to + ofC + T.Count));
                (c20, c21, c30, c31) = (
                    T.Load(to + 2 * ofC), T.Load(to + 2 * ofC + T.Count), T.Load(to + 3 * ofC), T.Load(to + 3 * ofC + T.Count));
                (c40, c41, c50, c51) = (
                    T.Load(to + 4 * ofC), T.Load(to + 4 * ofC + T.Count), T.Load(to + 5 * ofC), T.Load(to + 5 * ofC + T.Count));
                (c60, c61, c70, c71) = (
                    T.Load(to + 6 * ofC), T.Load(to + 6 * ofC + T.Count), T.Load(to + 7 * ofC), T.Load(to + 7 * ofC + T.Count));
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
                from += ofB;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + ofC);
            Store(c20, c21, to + 2 * ofC);
            Store(c30, c31, to + 3 * ofC);
            Store(c40, c41, to + 4 * ofC);
            Store(c50, c51, to + 5 * ofC);
            Store(c60, c61, to + 6 * ofC);
            Store(c70, c71, to + 7 * ofC);
        }
        if (n < width)
        {
            FourOfOne(depth, a0, row, step, b + n, ofB, c + n, ofC, add);
            FourOfOne(depth, a4, row, step, b + n, ofB, c + n + 4 * ofC, ofC, add);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Six(int width, int depth, float* a0, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row, a4 = a3 + row, a5 = a4 + row;
        int n = 0;
        for (; n <= width - 2 * T.Count; n += 2 * T.Count)
        {
            T c00 = T.Broadcast(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00, c40 = c00, c41 = c00,
                c50 = c00, c51 = c00;
            float* to = c + n, from = b + n;
            if (add)
            {
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + ofC), T.Load(to + ofC + T.Count));
                (c20, c21, c30, c31) = (
                    T.Load(to + 2 * ofC), T.Load(to + 2 * ofC + T.Count), T.Load(to + 3 * ofC), T.Load(to + 3 * ofC + T.Count));
                (c40, c41, c50, c51) = (
                    T.Load(to + 4 * ofC), T.Load(to + 4 * ofC + T.Count), T.Load(to + 5 * ofC), T.Load(to + 5 * ofC + T.Count));
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
                from += ofB;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + ofC);
            Store(c20, c21, to + 2 * ofC);
            Store(c30, c31, to + 3 * ofC);
            Store(c40, c41, to + 4 * ofC);
            Store(c50, c51, to + 5 * ofC);
        }
        if (n < width)
        {
            FourOfOne(depth, a0, row, step, b + n, ofB, c + n, ofC, add);
            OneOfOne(depth, a4, step, b + n, ofB, c + n + 4 * ofC, add);
            OneOfOne(depth, a5, step, b + n, ofB, c + n + 5 * ofC, add);
        }
    }

    [MethodImpl(Lanes.Loop)]
    private static void Four(int width, int depth, float* a0, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row;
        int n = 0;
        for (; n <= width - 2 * T.Count; n += 2 * T.Count)
        {
            T c00 = T.Broadcast(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
            float* to = c + n, from = b + n;
            if (add)
            {
                (c00, c01, c10, c11) = (T.Load(to), T.Load(to + T.Count), T.Load(to + ofC), T.Load(to + ofC + T.Count));
                (c20, c21, c30, c31) = (
                    T.Load(to + 2 * ofC), T.Load(to + 2 * ofC + T.Count), T.Load(to + 3 * ofC), T.Load(to + 3 * ofC + T.Count));
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
                from += ofB;
            }
            Store(c00, c01, to);
            Store(c10, c11, to + ofC);
            Store(c20, c21, to + 2 * ofC);
            Store(c30, c31, to + 3 * ofC);
        }
        if (n < width) FourOfOne(depth, a0, row, step, b + n, ofB, c + n, ofC, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void One(int width, int depth, float* a, nint step, float* b, nint ofB, float* c, bool add)
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
                from += ofB;
            }
            Store(c0, c1, to);
            Store(c2, c3, to + 2 * T.Count);
        }
        for (; n < width; n += T.Count) OneOfOne(depth, a, step, b + n, ofB, c + n, add);
    }

    [MethodImpl(Lanes.Loop)]
    private static void FourOfOne(int depth, float* a0, nint row, nint step, float* b, nint ofB, float* c, nint ofC, bool add)
    {
        float* a1 = a0 + row, a2 = a1 + row, a3 = a2 + row;
        T c0 = T.Broadcast(0), c1 = c0, c2 = c0, c3 = c0;
        if (add) (c0, c1, c2, c3) = (T.Load(c), T.Load(c + ofC), T.Load(c + 2 * ofC), T.Load(c + 3 * ofC));
        nint i = 0;
        for (int k = depth; k > 0; k--)
        {
            T line = T.Load(b);
            c0 = T.MultiplyAdd(T.Broadcast(a0[i]), line, c0);
            c1 = T.MultiplyAdd(T.Broadcast(a1[i]), line, c1);
            c2 = T.MultiplyAdd(T.Broadcast(a2[i]), line, c2);
            c3 = T.MultiplyAdd(T.Broadcast(a3[i]), line, c3);
            i += step;
            b += ofB;
        }
        T.Store(c0, c);
        T.Store(c1, c + ofC);
        T.Store(c2, c + 2 * ofC);
        T.Store(c3, c + 3 * ofC);
    }

    [MethodImpl(Lanes.Loop)]
    private static void OneOfOne(int depth, float* a, nint step, float* b, nint ofB, float* c, bool add)
    {
        T sum = add ? T.Load(c) : T.Broadcast(0);
        for (int k = depth; k > 0; k--)
        {
            sum = T.MultiplyAdd(T.Broadcast(*a), T.Load(b), sum);
            a += step;
            b += ofB;
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
