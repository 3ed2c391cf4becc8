// Shapes: weight (N, K), x (R, K), y (R, N). A panel holds 32 rows of the weight side by side, for one k after the other.
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Trainer.Kernels;

/// <summary>A float32 matrix (Outputs, Inputs) packed in panels, for products with any number of vectors; the bias may be null.</summary>
internal readonly record struct PanelMatrix(nint Panels, long Outputs, long Inputs, nint Bias);

/// <summary>Products of a packed matrix with vectors: a few of them in the time of reading the matrix once, many in that of the
/// multiplications.</summary>
/// <remarks>Sums run over k in order: a vector has the same bits whatever others are beside it, for any number of threads.</remarks>
internal static unsafe class PanelProduct
{
    /// <summary>Columns of a panel.</summary>
    public const int Width = 32;

    // Vectors that a thread takes at a time: enough for a panel to come from the cache.
    private const int RowsAtOnce = 64;

    // Multiply-adds worth a second thread of a team.
    private const long Grain = 128 * 1024;

    // How far ahead a single vector prefetches, in numbers.
    private const int Ahead = 2048;

    public static long Panels(long outputs) => (outputs + Width - 1) / Width;

    /// <summary>The numbers of a packed matrix.</summary>
    public static long Numbers(long outputs, long inputs) => Panels(outputs) * Width * inputs;

    /// <summary>Packs a matrix (N, K) of contiguous rows; what a last panel holds past N is arbitrary.</summary>
    public static void Pack(float* weight, long outputs, long inputs, float* panels)
    {
        for (long first = 0; first < outputs; first += Width, panels += Width * inputs)
            MatrixPanels.PackAlong(weight + first * inputs, inputs, (int)Math.Min(Width, outputs - first), Width, (int)inputs, panels);
    }

    /// <summary>y = or += weight·x + bias, (R, K) → (R, N).</summary>
    public static void Multiply(PanelMatrix matrix, float* x, float* y, long rows, bool adds, ThreadTeam team)
    {
        PanelLoop loop = new()
        {
            X = x, XStride = matrix.Inputs, Panels = (float*)matrix.Panels, PanelNumbers = Width * matrix.Inputs, Depth = matrix.Inputs,
            Y = y, YStride = matrix.Outputs, Columns = matrix.Outputs, Bias = (float*)matrix.Bias, Adds = adds,
            Rows = rows, RowsAtOnce = Math.Min(rows, RowsAtOnce),
        };
        long grain = Math.Max(1, Grain / (Width * matrix.Inputs * loop.RowsAtOnce));
        team.For(loop.Units, grain, (begin, end) => Lanes.Run(loop, begin, end));
    }

    /// <summary>A product in units of a panel by some vectors, those of one panel after the other.</summary>
    internal struct PanelLoop : ILoop
    {
        public required float* X, Panels, Y;
        public required long XStride, PanelNumbers, Depth, YStride, Columns, Rows, RowsAtOnce;
        public float* Bias;
        public bool Adds;

        private readonly long Blocks => (Rows + RowsAtOnce - 1) / RowsAtOnce;

        public readonly long Units => Panels(Columns) * Blocks;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            float* tile = stackalloc float[8 * Width];
            if (Rows == 1)
            {
                for (long panel = begin; panel < end; panel += 2)
                {
                    // A single panel is its own second one.
                    long pair = Math.Min(2, end - panel);
                    float* first = At(panel), second = At(panel + pair - 1);
                    for (int column = 0; column < Width; column += 2 * T.Count)
                        One<T>(X, first + column, second + column, Depth, tile + column);
                    for (long one = 0; one < pair; one++) Give<T>(tile + one * Width, panel + one, 0, 1);
                }
                return;
            }
            for (long unit = begin; unit < end; unit++)
            {
                long panel = unit / Blocks, row = unit % Blocks * RowsAtOnce, last = Math.Min(Rows, row + RowsAtOnce), count;
                // All vectors of the unit together prefetch the next panel, so that memory is read at an even pace.
                long tiles = (last - row + 7) / 8;
                float* fetched = At(panel + 1);
                for (; row < last; row += count, fetched += PanelNumbers / tiles)
                {
                    float* x = X + row * XStride;
                    bool eight = T.Count == 16 && last - row > 4; // as many sums as 32 registers hold
                    count = Math.Min(eight ? 8 : 4, last - row);
                    for (int column = 0; column < Width; column += 2 * T.Count)
                        if (eight) Eight<T>(x, XStride, count, At(panel) + column, Depth, fetched, Width / tiles, tile + column);
                        else Four<T>(x, XStride, count, At(panel) + column, Depth, fetched, Width / tiles, tile + column);
                    Give<T>(tile, panel, row, count);
                }
            }
        }

        private readonly float* At(long panel) => Panels + panel * PanelNumbers;

        // Sums of some rows and a panel's columns go to y.
        [MethodImpl(Lanes.Loop)]
        private readonly void Give<T>(float* sums, long panel, long row, long count) where T : unmanaged, ILanes<T>
        {
            long column = panel * Width, columns = Math.Min(Width, Columns - column), whole = columns - columns % T.Count;
            for (long r = 0; r < count; r++, sums += Width)
            {
                float* to = Y + (row + r) * YStride + column, bias = Bias + column;
                for (long i = 0; i < whole; i += T.Count)
                {
                    T sum = T.Load(sums + i);
                    if (Bias is not null) sum += T.Load(bias + i);
                    T.Store(Adds ? T.Load(to + i) + sum : sum, to + i);
                }
                for (long i = whole; i < columns; i++)
                {
                    float sum = Bias is not null ? sums[i] + bias[i] : sums[i];
                    to[i] = Adds ? to[i] + sum : sum;
                }
            }
        }
    }

    // One vector by two vectors of columns in each of two panels, a row of the tile each.
    [MethodImpl(Lanes.Loop)]
    private static void One<T>(float* x, float* first, float* second, long depth, float* tile) where T : unmanaged, ILanes<T>
    {
        T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0;
        for (long k = 0; k < depth; k++, first += Width, second += Width)
        {
            Fetch(first + Ahead);
            Fetch(second + Ahead);
            T v = T.Broadcast(x[k]);
            a0 = T.MultiplyAdd(v, T.Load(first), a0);
            a1 = T.MultiplyAdd(v, T.Load(first + T.Count), a1);
            b0 = T.MultiplyAdd(v, T.Load(second), b0);
            b1 = T.MultiplyAdd(v, T.Load(second + T.Count), b1);
        }
        T.Store(a0, tile);
        T.Store(a1, tile + T.Count);
        T.Store(b0, tile + Width);
        T.Store(b1, tile + Width + T.Count);
    }

    // Up to four vectors by two vectors of columns; the last one stands for those that are missing.
    [MethodImpl(Lanes.Loop)]
    private static void Four<T>(
        float* x, long stride, long rows, float* panel, long depth, float* fetched, long step, float* tile) where T : unmanaged, ILanes<T>
    {
        float* a = x, b = x + Math.Min(1, rows - 1) * stride;
        float* c = x + Math.Min(2, rows - 1) * stride, d = x + Math.Min(3, rows - 1) * stride;
        T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        for (long k = 0; k < depth; k++, panel += Width, fetched += step)
        {
            Fetch(fetched);
            T w0 = T.Load(panel), w1 = T.Load(panel + T.Count), v = T.Broadcast(a[k]);
            (a0, a1) = (T.MultiplyAdd(v, w0, a0), T.MultiplyAdd(v, w1, a1));
            v = T.Broadcast(b[k]);
            (b0, b1) = (T.MultiplyAdd(v, w0, b0), T.MultiplyAdd(v, w1, b1));
            v = T.Broadcast(c[k]);
            (c0, c1) = (T.MultiplyAdd(v, w0, c0), T.MultiplyAdd(v, w1, c1));
            v = T.Broadcast(d[k]);
            (d0, d1) = (T.MultiplyAdd(v, w0, d0), T.MultiplyAdd(v, w1, d1));
        }
        Store(a0, a1, tile);
        Store(b0, b1, tile + Width);
        Store(c0, c1, tile + 2 * Width);
        Store(d0, d1, tile + 3 * Width);
    }

    // The same with up to eight; the sums are written out because .NET keeps no array in registers.
    [MethodImpl(Lanes.Loop)]
    private static void Eight<T>(
        float* x, long stride, long rows, float* panel, long depth, float* fetched, long step, float* tile) where T : unmanaged, ILanes<T>
    {
        float* a = x, b = a + stride, c = b + stride, d = c + stride, e = d + stride;
        float* f = x + Math.Min(5, rows - 1) * stride, g = x + Math.Min(6, rows - 1) * stride, h = x + Math.Min(7, rows - 1) * stride;
        T a0 = T.Broadcast(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
        T e0 = a0, e1 = a0, f0 = a0, f1 = a0, g0 = a0, g1 = a0, h0 = a0, h1 = a0;
        for (long k = 0; k < depth; k++, panel += Width, fetched += step)
        {
            Fetch(fetched);
            T w0 = T.Load(panel), w1 = T.Load(panel + T.Count), v = T.Broadcast(a[k]);
            (a0, a1) = (T.MultiplyAdd(v, w0, a0), T.MultiplyAdd(v, w1, a1));
            v = T.Broadcast(b[k]);
            (b0, b1) = (T.MultiplyAdd(v, w0, b0), T.MultiplyAdd(v, w1, b1));
            v = T.Broadcast(c[k]);
            (c0, c1) = (T.MultiplyAdd(v, w0, c0), T.MultiplyAdd(v, w1, c1));
            v = T.Broadcast(d[k]);
            (d0, d1) = (T.MultiplyAdd(v, w0, d0), T.MultiplyAdd(v, w1, d1));
            v = T.Broadcast(e[k]);
            (e0, e1) = (T.MultiplyAdd(v, w0, e0), T.MultiplyAdd(v, w1, e1));
            v = T.Broadcast(f[k]);
            (f0, f1) = (T.MultiplyAdd(v, w0, f0), T.MultiplyAdd(v, w1, f1));
            v = T.Broadcast(g[k]);
            (g0, g1) = (T.MultiplyAdd(v, w0, g0), T.MultiplyAdd(v, w1, g1));
            v = T.Broadcast(h[k]);
            (h0, h1) = (T.MultiplyAdd(v, w0, h0), T.MultiplyAdd(v, w1, h1));
        }
        Store(a0, a1, tile);
        Store(b0, b1, tile + Width);
        Store(c0, c1, tile + 2 * Width);
        Store(d0, d1, tile + 3 * Width);
        Store(e0, e1, tile + 4 * Width);
        Store(f0, f1, tile + 5 * Width);
        Store(g0, g1, tile + 6 * Width);
        Store(h0, h1, tile + 7 * Width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<T>(T low, T high, float* to) where T : unmanaged, ILanes<T>
    {
        T.Store(low, to);
        T.Store(high, to + T.Count);
    }

    // Both cache lines of a panel's row.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(float* from)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(from);
        Sse.Prefetch0(from + Width / 2);
    }
}
