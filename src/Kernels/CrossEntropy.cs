// Shapes: x (N, C), weight (V, C), bias (V), targets (N), logits (N, V); L rows have a target.
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>The cross entropy of softmax, from logits or straight from the linear layer that makes them.</summary>
/// <remarks>float32 on the CPU; elsewhere TorchSharp's operators. Rows are summed in order: the same bits with any number of threads. The
/// kernels have no second derivative.</remarks>
public static unsafe class CrossEntropy
{
    private const long CachedLogits = 1 << 19, FewestRows = 256, Grain = 16384, NoTarget = -100;

    // Derivatives of one row of capped logits.
    [ThreadStatic] private static float[]? slopes;

    /// <summary>Losses (N) of float32 logits (N, V) in nats, and how many rows rank their target first (an int64 scalar; of equal logits
    /// the first counts). Targets are int64 (N); −100 is none, with loss 0. No gradients.</summary>
    /// <exception cref="TorchException">On the CPU: a target is not a token.</exception>
    public static (Tensor Losses, Tensor Hits) TokenLosses(Tensor logits, Tensor targets)
    {
        if (!IsSupported(logits) || !IsTargets(targets, logits.size(0)))
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor each = nn.functional.cross_entropy(logits, targets, ignore_index: NoTarget, reduction: nn.Reduction.None),
                found = logits.argmax(-1).eq(targets).sum();
            return (each.MoveToOuterDisposeScope(), found.MoveToOuterDisposeScope());
        }
        using Tensor z = logits.contiguous(), aims = targets.contiguous();
        CheckTargets(aims.Span<long>(), z.size(1));
        long rows = z.size(0), width = z.size(1), hits = 0;
        Tensor losses = empty([rows], ScalarType.Float32);
        TokenLossLoop loop =
            new() { Logits = (float*)z.DataPointer, Targets = (long*)aims.DataPointer, Losses = (float*)losses.DataPointer, Width = width };
        ParallelFor.Run(rows, Math.Max(1, Grain / width), (begin, end) =>
        {
            long here = 0;
            Lanes.Run(loop with { Hits = &here }, begin, end);
            Interlocked.Add(ref hits, here);
        });
        return (losses, tensor(hits));
    }

    /// <summary>The summed cross entropy of softmax(x·weightᵀ + bias), a float32 scalar in nats. On the CPU few rows of logits are held
    /// at a time and become gradients at once; rows without a target cost nothing (Liger, Hsu et al. 2024, arXiv 2410.10989).</summary>
    /// <remarks>x (N, C), float32 or bfloat16; weight (V, C) and bias (V), float32; targets int64 (N), −100 for none; rounded (V, C), the
    /// compute weight in bfloat16, or null to multiply in float32.</remarks>
    /// <exception cref="TorchException">The shapes do not fit, or a target is not a token.</exception>
    public static Tensor Sum(Tensor x, Tensor weight, Tensor? bias, Tensor targets, CrossEntropyShape shape, Tensor? rounded = null)
    {
        if (weight.dim() != 2
            || (rounded is not null && (rounded.dtype != ScalarType.BFloat16 || !rounded.shape.AsSpan().SequenceEqual(weight.shape)))
            || (bias is not null && (bias.dim() != 1 || bias.size(0) != weight.size(0))))
        {
            throw new TorchException(
                "a cross entropy of a layer needs a weight (V, C), with its like in bfloat16 or none and a bias (V) or none, not " +
                $"{weight.ShapeText} {weight.dtype}{(bias is null ? "" : $" and {bias.ShapeText}")}");
        }
        if (x.dim() != 2 || x.size(1) != weight.size(1) || targets.dim() != 1 || targets.size(0) != x.size(0))
        {
            throw new TorchException($"a cross entropy of a layer needs rows (N, {weight.size(1)}) and targets (N), " +
                $"not {x.ShapeText} and {targets.ShapeText} {targets.dtype}");
        }
        return IsSupported(x, weight, bias, targets, rounded)
            ? SumFunction.apply(x, weight, bias, rounded, targets, shape)
            : Composed(x, weight, bias, targets, shape, rounded);
    }

    internal static bool IsSupported(Tensor x, Tensor weight, Tensor? bias, Tensor targets, Tensor? rounded = null) =>
        Lanes.IsSupported && x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && IsSupported(weight) && weight.size(1) > 0 && MatrixProduct.IsSupported(rounded ?? weight, rounded ?? weight)
        && bias?.dtype is null or ScalarType.Float32 && IsTargets(targets, x.size(0));

    /// <summary>How many rows of logits <see cref="Sum"/> holds at once, of so many with a target.</summary>
    /// <remarks>As many as stay in a near cache, but enough to be worth reading the weight again for each part; measured for 65 to 50304
    /// tokens.</remarks>
    public static long RowsOfLogits(long rows, long vocabularySize) =>
        Math.Min(rows, Math.Max(FewestRows, CachedLogits / Math.Max(1, vocabularySize)));

    internal static Tensor Composed(Tensor x, Tensor weight, Tensor? bias, Tensor targets, CrossEntropyShape shape, Tensor? rounded)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = rounded is null
            ? nn.functional.linear(x.to(weight.dtype), weight, bias)
            : MixedPrecisionLinear.Composed(x, weight, rounded, bias, rounds: false);
        logits = logits.mul(shape.LogitScale);
        if (shape.LogitSoftCap is { } cap) logits = logits.div(cap).tanh().mul(cap);
        return nn.functional.cross_entropy(
            logits, targets, ignore_index: NoTarget, reduction: nn.Reduction.Sum, label_smoothing: shape.LabelSmoothing)
            .MoveToOuterDisposeScope();
    }

    private static bool IsSupported(Tensor matrix) =>
        Lanes.IsSupported && matrix.device_type == DeviceType.CPU && matrix.dim() == 2 && matrix.dtype == ScalarType.Float32
        && matrix.size(1) > 0;

    private static bool IsTargets(Tensor targets, long rows) =>
        targets.device_type == DeviceType.CPU && targets.dtype == ScalarType.Int64 && targets.dim() == 1 && targets.size(0) == rows;

    private static void CheckTargets(ReadOnlySpan<long> targets, long tokens)
    {
        foreach (long target in targets)
            if (target != NoTarget && (target < 0 || target >= tokens))
                throw new TorchException($"Target {target} is out of bounds: there are {tokens} tokens.");
    }

    private sealed class SumFunction : SingleTensorFunction<SumFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor x = (Tensor)vars[0], weight = (Tensor)vars[1], factor = (Tensor?)vars[3] ?? weight; // what is multiplied
            Tensor? bias = ((Tensor?)vars[2])?.contiguous();
            long width = weight.size(0);
            ReadOnlySpan<long> given = ((Tensor)vars[4]).contiguous().Span<long>();
            CheckTargets(given, width);
            long[] places = new long[given.Length];
            int count = 0;
            for (int i = 0; i < given.Length; i++)
                if (given[i] != NoTarget) places[count++] = i;
            Tensor? at = count == given.Length ? null : tensor(places.AsSpan(0, count).ToArray());
            long[] aims = new long[count];
            for (int i = 0; i < count; i++) aims[i] = given[(int)places[i]];
            Tensor rows = (at is null ? x : x.index_select(0, at)).to(factor.dtype).contiguous(); // (L, C)

            bool wantsX = ctx.needs_input_grad(0), wantsWeight = ctx.needs_input_grad(1), wantsBias = ctx.needs_input_grad(2);
            Tensor? dx = wantsX ? empty(rows.shape, ScalarType.Float32) : null;
            Tensor? dbias = wantsBias ? zeros([width], ScalarType.Float32) : null;
            Tensor? dweight = !wantsWeight ? null
                : count > 0 ? empty(weight.shape, ScalarType.Float32)
                : zeros(weight.shape, ScalarType.Float32);
            long step = RowsOfLogits(count, width);
            Tensor buffer = empty([step, width], ScalarType.Float32);
            // Gradients of logits, rounded for the products: in place of the logits, unless the bias still sums those in float32.
            Tensor? coarse = !(wantsX || wantsWeight) || factor.dtype != ScalarType.BFloat16 ? null
                : wantsBias ? empty([step, width], ScalarType.BFloat16)
                : Aten.view(buffer, ScalarType.BFloat16).narrow(1, 0, width);
            Tensor transposed = factor.t(); // (C, V)
            double[] losses = new double[count];
            for (long first = 0; first < count; first += step)
            {
                using DisposeScope part = NewDisposeScope();
                long n = Math.Min(step, count - first);
                Tensor some = rows.narrow(0, first, n), logits = buffer.narrow(0, 0, n), dlogits = coarse?.narrow(0, 0, n) ?? logits;
                MatrixProduct.MultiplyInto(logits, some, transposed);
                fixed (long* targets = aims)
                fixed (double* loss = losses)
                {
                    SumLoop loop = new((CrossEntropyShape)vars[5], width)
                    {
                        Logits = (float*)logits.DataPointer, Coarse = coarse is null ? null : (ushort*)coarse.DataPointer,
                        CoarseStride = coarse?.stride(0) ?? 0, Bias = bias is null ? null : (float*)bias.DataPointer,
                        Targets = targets + first, Losses = loss + first, Differentiates = wantsX || wantsWeight || wantsBias,
                    };
                    ParallelFor.Run(n, Math.Max(1, Grain / width), loop);
                }
                if (wantsBias) dbias!.add_(ColumnSums.Of(logits));
                if (wantsX) MatrixProduct.MultiplyInto(dx!.narrow(0, first, n), dlogits, factor);
                if (wantsWeight) MatrixProduct.MultiplyInto(dweight!, dlogits.t(), some, add: first > 0);
            }
            double sum = 0;
            foreach (double loss in losses) sum += loss;
            ctx.save_for_backward([dx!, dweight!, dbias!, at!]);
            ctx.save_data("rows", x.size(0));
            ctx.save_data("type", x.dtype);
            return tensor((float)sum).MoveToOuterDisposeScope();
        }

        // A graph runs backwards once, so gradients are multiplied in place: the weight's may be the largest tensor of all.
        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            List<Tensor> saved = ctx.get_saved_variables();
            Tensor? dx = Multiplied(saved[0]);
            if (dx is not null && saved[3] is { } at)
                dx = zeros([(long)ctx.get_data("rows")!, dx.size(1)], ScalarType.Float32).index_copy_(0, at, dx);
            return [dx?.to((ScalarType)ctx.get_data("type")!).MoveToOuterDisposeScope()!, Multiplied(saved[1])?.MoveToOuterDisposeScope()!,
                Multiplied(saved[2])?.MoveToOuterDisposeScope()!, null!, null!, null!];

            // An alias, because saved tensors are freed.
            Tensor? Multiplied(Tensor? gradient) => gradient?.mul_(grad_output).detach();
        }
    }

    /// <summary>Turns logits into losses and, where wanted, gradients.</summary>
    private struct SumLoop(CrossEntropyShape shape, long width) : ILoop
    {
        public float* Logits, Bias;
        public ushort* Coarse;
        public long* Targets;
        public double* Losses;
        public long CoarseStride;
        public bool Differentiates;

        private readonly float scale = (float)shape.LogitScale, cap = (float)(shape.LogitSoftCap ?? 0),
            smoothing = (float)shape.LabelSmoothing;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            if (cap != 0 && (slopes is null || slopes.Length < width)) slopes = new float[width];
            fixed (float* slope = slopes)
                for (long row = begin; row < end; row++) Row<T>(row, slope);
        }

        // loss = log Σ e^z − (1 − ε)·z[target] − ε·mean(z); its gradient is softmax(z) − ε/V, less 1 − ε at the target.
        private readonly void Row<T>(long row, float* slope) where T : unmanaged, ILanes<T>
        {
            float* z = Logits + row * width;
            long target = Targets[row], whole = width - width % T.Count;
            if (cap != 0)
            {
                Cap<T>(z, slope, 0, whole);
                Cap<Lanes1>(z, slope, whole, width);
            }
            else if (Bias is not null || scale != 1)
            {
                Shift<T>(z, 0, whole);
                Shift<Lanes1>(z, whole, width);
            }
            float highest = Highest<T>(z, width);
            double aimed = (double)z[target] - highest;
            float total = 0, above = 0;
            Exponentials<T>(z, 0, whole, highest, ref total, ref above);
            Exponentials<Lanes1>(z, whole, width, highest, ref total, ref above);
            Losses[row] = Math.Log(total) - (1.0 - smoothing) * aimed - (smoothing == 0 ? 0 : smoothing * ((double)above / width));
            if (!Differentiates) return;
            float* factors = cap != 0 ? slope : null;
            ushort* coarse = Coarse is null ? null : Coarse + row * CoarseStride;
            float inverse = 1 / total, factor = factors is null ? scale : factors[target];
            Lanes1 gradient = Slope(
                Lanes1.Load(z + target), Lanes1.Broadcast(inverse), Lanes1.Broadcast(smoothing / width), Lanes1.Broadcast(factor));
            Lanes1 atTarget = gradient - Lanes1.Broadcast((1 - smoothing) * factor);
            Gradient<T>(z, factors, coarse, 0, whole, inverse);
            Gradient<Lanes1>(z, factors, coarse, whole, width, inverse);
            if (coarse is not null) Lanes1.StoreBFloat16(atTarget, coarse + target);
            if (coarse != (ushort*)z) Lanes1.Store(atTarget, z + target);
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Shift<T>(float* z, long begin, long end) where T : unmanaged, ILanes<T>
        {
            float* bias = Bias;
            T factor = T.Broadcast(scale);
            if (bias is null)
                for (long i = begin; i < end; i += T.Count) T.Store(T.Load(z + i) * factor, z + i);
            else
                for (long i = begin; i < end; i += T.Count) T.Store((T.Load(z + i) + T.Load(bias + i)) * factor, z + i);
        }

        // cap·tanh(z / cap), and its derivative with respect to the layer's output.
        [MethodImpl(Lanes.Loop)]
        private readonly void Cap<T>(float* z, float* slope, long begin, long end) where T : unmanaged, ILanes<T>
        {
            float* bias = Bias;
            T factor = T.Broadcast(scale), bound = T.Broadcast(cap), inverse = T.Broadcast(1 / cap), one = T.Broadcast(1);
            for (long i = begin; i < end; i += T.Count)
            {
                T x = T.Load(z + i);
                if (bias is not null) x += T.Load(bias + i);
                T tanh = VectorMath.Tanh(x * factor * inverse);
                T.Store(bound * tanh, z + i);
                T.Store(factor * (one - tanh * tanh), slope + i);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Exponentials<T>(float* z, long begin, long end, float highest, ref float total, ref float above)
            where T : unmanaged, ILanes<T>
        {
            T most = T.Broadcast(highest), sum = T.Broadcast(0), distance = T.Broadcast(0);
            bool stores = Differentiates;
            for (long i = begin; i < end; i += T.Count)
            {
                T x = T.Load(z + i) - most, power = VectorMath.Exp(x);
                distance += x;
                sum += power;
                if (stores) T.Store(power, z + i);
            }
            total += T.Sum(sum);
            above += T.Sum(distance);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T Slope<T>(T power, T share, T spread, T factor) where T : unmanaged, ILanes<T> => (power * share - spread) * factor;

        [MethodImpl(Lanes.Loop)]
        private readonly void Gradient<T>(float* z, float* factors, ushort* coarse, long begin, long end, float inverse)
            where T : unmanaged, ILanes<T>
        {
            T share = T.Broadcast(inverse), spread = T.Broadcast(smoothing / width), factor = T.Broadcast(scale);
            bool inPlace = coarse == (ushort*)z; // half as wide, so never ahead of what is read
            for (long i = begin; i < end; i += T.Count)
            {
                T gradient = Slope(T.Load(z + i), share, spread, factors is null ? factor : T.Load(factors + i));
                if (!inPlace) T.Store(gradient, z + i);
                if (coarse is not null) T.StoreBFloat16(gradient, coarse + i);
            }
        }
    }

    private struct TokenLossLoop : ILoop
    {
        public float* Logits, Losses;
        public long* Targets, Hits;
        public long Width;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = Width - Width % T.Count;
            for (long row = begin; row < end; row++)
            {
                float* z = Logits + row * Width;
                long target = Targets[row];
                Losses[row] = 0;
                if (target == NoTarget) continue;
                float highest = Highest<T>(z, Width), total = Powers<T>(z, 0, whole, highest) + Powers<Lanes1>(z, whole, Width, highest);
                Losses[row] = (float)(Math.Log(total) - ((double)z[target] - highest));
                // Of equal logits the first counts as the highest.
                if (z[target] == highest && new ReadOnlySpan<float>(z, (int)target).IndexOf(highest) < 0) ++*Hits;
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static float Powers<T>(float* z, long begin, long end, float highest) where T : unmanaged, ILanes<T>
        {
            T most = T.Broadcast(highest), sum = T.Broadcast(0);
            for (long i = begin; i < end; i += T.Count) sum += VectorMath.Exp(T.Load(z + i) - most);
            return T.Sum(sum);
        }
    }

    private static float Highest<T>(float* z, long width) where T : unmanaged, ILanes<T>
    {
        long whole = width - width % T.Count;
        float highest = Highest<T>(z, 0, whole, z[0]);
        return Highest<Lanes1>(z, whole, width, highest);
    }

    [MethodImpl(Lanes.Loop)]
    private static float Highest<T>(float* z, long begin, long end, float start) where T : unmanaged, ILanes<T>
    {
        T a = T.Broadcast(start), b = a, c = a, d = a; // four chains hide the latency of one
        long i = begin, fours = end - (end - begin) % (4 * T.Count);
        for (; i < fours; i += 4 * T.Count)
        {
            a = T.MaxNative(a, T.Load(z + i));
            b = T.MaxNative(b, T.Load(z + i + T.Count));
            c = T.MaxNative(c, T.Load(z + i + 2 * T.Count));
            d = T.MaxNative(d, T.Load(z + i + 3 * T.Count));
        }
        for (; i < end; i += T.Count) a = T.MaxNative(a, T.Load(z + i));
        return T.Max(T.MaxNative(T.MaxNative(a, b), T.MaxNative(c, d)));
    }
}

/// <summary>How logits are changed on the way to their cross entropy.</summary>
public readonly record struct CrossEntropyShape()
{
    /// <summary>Multiplies logits.</summary>
    public double LogitScale { get; init; } = 1;

    /// <summary>Then bounds a logit z to cap·tanh(z / cap); above 0, null for no bound.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>The share of each target's probability spread over all tokens (Szegedy et al. 2016); 0 for none.</summary>
    public double LabelSmoothing { get; init; }
}
