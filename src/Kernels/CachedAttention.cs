// Shapes: n query heads that share a key-value head, S visible positions, D head dimension.
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Slots of a cache that follow one another in memory, as the positions in them do.</summary>
/// <param name="First">The first slot.</param>
/// <param name="Count">How many.</param>
public readonly record struct SlotRun(long First, long Count);

/// <summary>Attention of one position to a cache, softmax(QKᵀ)V, for query heads that share a key-value head, on the calling
/// thread.</summary>
/// <remarks>The visible positions lie in runs of slots, which may be blocks anywhere in the cache; where they are cut makes no difference
/// to a bit.</remarks>
internal unsafe struct CachedAttention : ILoop
{
    // Fewest elements worth a thread.
    private const long BoundGrain = 8192;

    public required float* Queries; // (n, D), already scaled
    public required float* Keys, Values; // (slots, D)
    public required SlotRun* Runs; // of the visible positions, in their order
    public required int RunCount;
    public required float* Result; // (n, D)
    public required long Count; // S, at least 1
    public required long Width;
    public float SoftCap; // bounds scores s to cap·tanh(s / cap), before the distance term; 0 for no bound
    public float* Distances; // the distance of each position, (S), or null
    public float* Slopes; // what each query head subtracts from its scores per unit of distance, (n)

    /// <summary>Computes the query heads [begin, end).</summary>
    public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
    {
        using Scratch scratch = new((end - begin) * Count, 1);
        float* weights = scratch.Take((end - begin) * Count);
        Score<T>(begin, end, weights);
        for (long head = begin; head < end; head++, weights += Count)
        {
            float total = Weigh<T>(weights, Count, SoftCap, Distances, Distances is null ? 0 : Slopes[head]);
            long done = Blend<T>(weights, 1 / total, Values, Runs, RunCount, Width, Result + head * Width, 0);
            Blend<Lanes1>(weights, 1 / total, Values, Runs, RunCount, Width, Result + head * Width, done);
        }
    }

    /// <summary>Scores (S) become weights that are to be divided by their sum, which is returned.</summary>
    public static float Weigh<T>(float* scores, long count, float softCap, float* distances, float slope) where T : unmanaged, ILanes<T>
    {
        long whole = count - count % T.Count;
        if (softCap > 0) Bound<T>(scores, count, softCap);
        if (distances is not null)
        {
            Subtract<T>(scores, distances, slope, 0, whole);
            Subtract<Lanes1>(scores, distances, slope, whole, count);
        }
        float largest = MathF.Max(Largest<T>(scores, 0, whole), Largest<Lanes1>(scores, whole, count));
        return Exponentials<T>(scores, largest, 0, whole) + Exponentials<Lanes1>(scores, largest, whole, count);
    }

    // QKᵀ, (n, S).
    private readonly void Score<T>(long begin, long end, float* scores) where T : unmanaged, ILanes<T>
    {
        long done = 0;
        foreach (SlotRun run in new ReadOnlySpan<SlotRun>(Runs, RunCount))
        {
            VectorMatrix keys = new((nint)(Keys + run.First * Width), ScalarType.Float32, run.Count, Width, Bias: 0);
            MatrixVectorProduct.Run<T>(keys, Queries + begin * Width, scores + done, end - begin, Count);
            done += run.Count;
        }
    }

    /// <summary>Bounds x to cap·tanh(x / cap), in place.</summary>
    public static void Bound(float* x, long count, float cap) => ParallelFor.Run(count, BoundGrain, new BoundLoop(x, cap));

    private static void Bound<T>(float* x, long count, float cap) where T : unmanaged, ILanes<T> => new BoundLoop(x, cap).Run<T>(0, count);

    [MethodImpl(Lanes.Loop)]
    private static void Subtract<T>(float* scores, float* distances, float slope, long begin, long end) where T : unmanaged, ILanes<T>
    {
        T factor = T.Broadcast(-slope);
        for (long i = begin; i < end; i += T.Count) T.Store(T.MultiplyAdd(factor, T.Load(distances + i), T.Load(scores + i)), scores + i);
    }

    [MethodImpl(Lanes.Loop)]
    private static float Largest<T>(float* scores, long begin, long end) where T : unmanaged, ILanes<T>
    {
        T largest = T.Broadcast(float.NegativeInfinity);
        for (long i = begin; i < end; i += T.Count) largest = T.MaxNative(largest, T.Load(scores + i));
        return T.Max(largest);
    }

    // Scores become e^(score − largest); returns their sum.
    [MethodImpl(Lanes.Loop)]
    private static float Exponentials<T>(float* scores, float largest, long begin, long end) where T : unmanaged, ILanes<T>
    {
        T most = T.Broadcast(largest), sum = T.Broadcast(0);
        for (long i = begin; i < end; i += T.Count)
        {
            T weight = VectorMath.Exp(T.Load(scores + i) - most);
            T.Store(weight, scores + i);
            sum += weight;
        }
        return T.Sum(sum);
    }

    // Weighted sums of the values' columns from the given one on, as far as whole vectors go; returns the next column.
    [MethodImpl(Lanes.Loop)]
    private static long Blend<T>(
        float* weights, float factor, float* values, SlotRun* runs, int runCount, long width, float* result, long column)
        where T : unmanaged, ILanes<T>
    {
        T scale = T.Broadcast(factor);
        SlotRun* end = runs + runCount;
        for (; column <= width - 4 * T.Count; column += 4 * T.Count)
        {
            T a = T.Broadcast(0), b = a, c = a, d = a;
            float* next = weights;
            for (SlotRun* run = runs; run < end; run++)
            {
                float* value = values + run->First * width + column;
                for (float* last = next + run->Count; next < last; next++, value += width)
                {
                    T weight = T.Broadcast(*next);
                    a = T.MultiplyAdd(weight, T.Load(value), a);
                    b = T.MultiplyAdd(weight, T.Load(value + T.Count), b);
                    c = T.MultiplyAdd(weight, T.Load(value + 2 * T.Count), c);
                    d = T.MultiplyAdd(weight, T.Load(value + 3 * T.Count), d);
                }
            }
            T.Store(a * scale, result + column);
            T.Store(b * scale, result + column + T.Count);
            T.Store(c * scale, result + column + 2 * T.Count);
            T.Store(d * scale, result + column + 3 * T.Count);
        }
        for (; column <= width - T.Count; column += T.Count)
        {
            // Two sums hide the latency of additions: of every other position, wherever runs begin.
            T even = T.Broadcast(0), odd = even;
            long i = 0;
            for (SlotRun* run = runs; run < end; run++)
            {
                float* value = values + run->First * width + column;
                long last = i + run->Count;
                if (i % 2 != 0)
                {
                    odd = T.MultiplyAdd(T.Broadcast(weights[i++]), T.Load(value), odd);
                    value += width;
                }
                for (; i < last - 1; i += 2, value += 2 * width)
                {
                    even = T.MultiplyAdd(T.Broadcast(weights[i]), T.Load(value), even);
                    odd = T.MultiplyAdd(T.Broadcast(weights[i + 1]), T.Load(value + width), odd);
                }
                if (i < last) even = T.MultiplyAdd(T.Broadcast(weights[i++]), T.Load(value), even);
            }
            T.Store((even + odd) * scale, result + column);
        }
        return column;
    }

    private readonly struct BoundLoop(float* x, float cap) : ILoop
    {
        public void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = end - (end - begin) % T.Count;
            Part<T>(x, cap, begin, whole);
            Part<Lanes1>(x, cap, whole, end);
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* x, float cap, long begin, long end) where T : unmanaged, ILanes<T>
        {
            T bound = T.Broadcast(cap), inverse = T.Broadcast(1 / cap);
            for (long i = begin; i < end; i += T.Count) T.Store(bound * VectorMath.Tanh(T.Load(x + i) * inverse), x + i);
        }
    }
}
