// Shapes: N rows (all leading dimensions together), C width.
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Layer norm and RMS norm over the last dimension, optionally after a residual sum, each in one pass over memory.</summary>
/// <remarks>float32 on the CPU; elsewhere libtorch's operators. The kernels have no second derivative. With <c>rounds</c> the norm and its
/// gradient are bfloat16.</remarks>
public static class Normalization
{
    // Fewest elements worth a thread.
    private const long Grain = 16384;

    /// <summary>Layer norm of x (…, C) with weight and bias (C) (Ba et al. 2016, arXiv 1607.06450).</summary>
    public static Tensor LayerNorm(Tensor x, Tensor weight, Tensor? bias, double epsilon, bool rounds = false) =>
        IsSupported(x, weight, bias)
            ? NormFunction.apply(x, weight, bias, epsilon, true, rounds)
            : ComposedLayerNorm(x, weight, bias, epsilon, rounds);

    /// <summary>Root-mean-square norm of x (…, C) with a weight (C) (Zhang and Sennrich 2019, arXiv 1910.07467).</summary>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double epsilon, bool rounds = false) => IsSupported(x, weight, null)
        ? NormFunction.apply(x, weight, null, epsilon, false, rounds)
        : ComposedRmsNorm(x, weight, epsilon, rounds);

    /// <summary>The residual sum x + branch (…, C) and its layer norm.</summary>
    public static (Tensor Sum, Tensor Norm) AddLayerNorm(
        Tensor x, Tensor branch, Tensor weight, Tensor? bias, double epsilon, bool rounds = false)
    {
        if (IsSupported(x, weight, bias) && IsBranch(x, branch))
            return Both(AddNormFunction.apply(x, branch, weight, bias, epsilon, true, rounds));
        Tensor sum = x.add(branch);
        return (sum, ComposedLayerNorm(sum, weight, bias, epsilon, rounds));
    }

    /// <summary>The residual sum x + branch (…, C) and its root-mean-square norm.</summary>
    public static (Tensor Sum, Tensor Norm) AddRmsNorm(Tensor x, Tensor branch, Tensor weight, double epsilon, bool rounds = false)
    {
        if (IsSupported(x, weight, null) && IsBranch(x, branch))
            return Both(AddNormFunction.apply(x, branch, weight, null, epsilon, false, rounds));
        Tensor sum = x.add(branch);
        return (sum, ComposedRmsNorm(sum, weight, epsilon, rounds));
    }

    internal static bool IsSupported(Tensor x, Tensor weight, Tensor? bias) =>
        Lanes.IsSupported && IsFloat32(x) && x.dim() > 0 && x.numel() > 0 && IsOfWidth(weight, x.size(-1))
            && (bias is null || IsOfWidth(bias, x.size(-1)));

    /// <summary>Norms of rows (N, C) on the calling thread: layer norm if centred, else RMS norm. norm may be x, bias null.</summary>
    internal static unsafe void Apply(
        float* x, float* norm, long rows, long width, float* weight, float* bias, double epsilon, bool centred) =>
        Lanes.Run(
            new ForwardLoop
            {
                X = x, Norm = norm, Weight = weight, Bias = bias,
                Rows = rows, Width = width, Epsilon = (float)epsilon, Centred = centred,
            },
            0, rows);

    internal static Tensor ComposedLayerNorm(Tensor x, Tensor weight, Tensor? bias, double epsilon, bool rounds) =>
        Rounded(nn.functional.layer_norm(x, weight.shape, weight, bias, epsilon), rounds);

    internal static Tensor ComposedRmsNorm(Tensor x, Tensor weight, double epsilon, bool rounds) =>
        Rounded(ComposedRmsNorm(x, weight, epsilon), rounds);

    // In float32 where x has less, rounded once at the end.
    private static Tensor ComposedRmsNorm(Tensor x, Tensor weight, double epsilon)
    {
        // libtorch has one kernel for it there; elsewhere it composes it too.
        if (x.device_type == DeviceType.CUDA && x.dtype == weight.dtype) return Functional.RmsNorm(x, weight.shape, weight, epsilon);
        using DisposeScope scope = NewDisposeScope();
        Tensor h = x.dtype == ScalarType.Float64 ? x : x.to(ScalarType.Float32);
        Tensor scale = h.square().mean([-1], keepdim: true).add(epsilon).rsqrt(); // (…, 1)
        return h.mul(scale).mul(weight).to(x.dtype).MoveToOuterDisposeScope();
    }

    private static Tensor Rounded(Tensor norm, bool rounds)
    {
        if (!rounds || norm.dtype == ScalarType.BFloat16) return norm;
        using (norm) return norm.to(ScalarType.BFloat16);
    }

    private static bool IsFloat32(Tensor x) => x.device_type == DeviceType.CPU && x.dtype == ScalarType.Float32;

    private static bool IsOfWidth(Tensor weight, long width) => IsFloat32(weight) && weight.dim() == 1 && weight.size(0) == width;

    private static bool IsBranch(Tensor x, Tensor branch) => IsFloat32(branch) && x.shape.AsSpan().SequenceEqual(branch.shape);

    private static (Tensor, Tensor) Both(List<Tensor> results) => (results[0], results[1]);

    private static unsafe (Tensor? Sum, Tensor Norm) Forward(
        AutogradContext context, Tensor input, Tensor? residual, Tensor weightParameter, Tensor? biasParameter, double epsilon,
        bool centred, bool rounds)
    {
        using Tensor x = input.contiguous(), weight = weightParameter.contiguous();
        using Tensor? branch = residual?.contiguous(), bias = biasParameter?.contiguous();
        long width = x.size(-1), rows = x.numel() / width;
        Tensor norm = empty(x.shape, rounds ? ScalarType.BFloat16 : ScalarType.Float32);
        Tensor? sum = branch is null ? null : empty(x.shape, ScalarType.Float32);
        using Tensor? statistics = context.Records ? empty([2, rows], ScalarType.Float32) : null; // mean, 1/√(variance + ε)
        ForwardLoop loop = new()
        {
            X = Pointer(x), Branch = Pointer(branch), Sum = Pointer(sum), Weight = Pointer(weight), Bias = Pointer(bias),
            Norm = norm.DataPointer, Statistics = Pointer(statistics),
            Rows = rows, Width = width, Epsilon = (float)epsilon, Centred = centred, Rounds = rounds,
        };
        ParallelFor.Run(rows, Math.Max(1, Grain / width), loop);
        if (statistics is not null) context.save_for_backward([sum ?? x, weight, statistics]);
        return (sum, norm);
    }

    private static unsafe (Tensor? X, Tensor? Weight, Tensor? Bias) Backward(
        AutogradContext context, Tensor normGradient, Tensor? sumGradient, bool centred, bool wantsWeight, bool wantsBias)
    {
        List<Tensor> saved = context.get_saved_variables();
        Tensor h = saved[0], weight = saved[1], statistics = saved[2];
        using Tensor dy = normGradient.contiguous();
        using Tensor? dsum = sumGradient?.contiguous();
        long width = h.size(-1), rows = h.numel() / width, groups = ColumnSums.Groups(rows);
        Tensor dx = empty(h.shape, ScalarType.Float32);
        using Tensor? weights = wantsWeight ? empty([groups, width], ScalarType.Float32) : null;
        using Tensor? biases = wantsBias ? empty([groups, width], ScalarType.Float32) : null;
        BackwardLoop loop = new()
        {
            X = Pointer(h), Weight = Pointer(weight), Statistics = Pointer(statistics),
            NormGradient = dy.DataPointer, SumGradient = Pointer(dsum), Gradient = Pointer(dx),
            Weights = Pointer(weights), Biases = Pointer(biases),
            Rows = rows, Width = width, Groups = groups, Centred = centred, Rounded = dy.dtype == ScalarType.BFloat16,
        };
        ParallelFor.Run(groups, Math.Max(1, Grain * groups / (rows * width)), loop);
        return (dx, weights is null ? null : ColumnSums.OfGroups(weights), biases is null ? null : ColumnSums.OfGroups(biases));
    }

    private static unsafe float* Pointer(Tensor? tensor) => tensor is null ? null : (float*)tensor.DataPointer;

    private sealed class NormFunction : SingleTensorFunction<NormFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("centred", vars[4]);
            return Forward(ctx, (Tensor)vars[0], null, (Tensor)vars[1], (Tensor?)vars[2], (double)vars[3], (bool)vars[4],
                (bool)vars[5]).Norm;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            var (x, weight, bias) = Backward(
                ctx, grad_output, null, (bool)ctx.get_data("centred")!, ctx.needs_input_grad(1), ctx.needs_input_grad(2));
            return [x!, weight!, bias!, null!, null!, null!];
        }
    }

    private sealed class AddNormFunction : MultiTensorFunction<AddNormFunction>
    {
        public override List<Tensor> forward(AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("centred", vars[5]);
            (Tensor? sum, Tensor norm) = Forward(
                ctx, (Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor?)vars[3], (double)vars[4], (bool)vars[5], (bool)vars[6]);
            return [sum!, norm];
        }

        public override List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs)
        {
            var (x, weight, bias) = Backward(
                ctx, grad_outputs[1], grad_outputs[0], (bool)ctx.get_data("centred")!, ctx.needs_input_grad(2), ctx.needs_input_grad(3));
            return [x!, x!, weight!, bias!, null!, null!, null!];
        }
    }

    // y = (h − mean)·scale·weight + bias with h = x + branch and scale = 1/√(variance + ε); RMS norm takes the mean as 0.
    private unsafe struct ForwardLoop : ILoop
    {
        public float* X, Branch, Sum, Weight, Bias, Statistics;
        public void* Norm;
        public long Rows, Width;
        public float Epsilon;
        public bool Centred, Rounds;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            if (Rounds) Run<T, StoredBFloat16>(begin, end);
            else Run<T, StoredFloat32>(begin, end);
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Run<T, TNorm>(long begin, long end) where T : unmanaged, ILanes<T> where TNorm : IStored
        {
            long whole = Width - Width % T.Count;
            float inverse = 1f / Width;
            for (long row = begin; row < end; row++)
            {
                long first = row * Width;
                float* h = X + first;
                float total = 0;
                if (Branch is not null)
                {
                    total = Add<T>(h, Branch + first, Sum + first, 0, whole) + Add<Lanes1>(h, Branch + first, Sum + first, whole, Width);
                    h = Sum + first;
                }
                else if (Centred)
                {
                    total = Total<T>(h, 0, whole) + Total<Lanes1>(h, whole, Width);
                }
                float mean = Centred ? total * inverse : 0;
                float variance = (Squares<T>(h, mean, 0, whole) + Squares<Lanes1>(h, mean, whole, Width)) * inverse;
                float scale = 1 / MathF.Sqrt(variance + Epsilon);
                if (Statistics is not null) (Statistics[row], Statistics[Rows + row]) = (mean, scale);
                Write<T, TNorm>(h, mean, scale, first, 0, whole);
                Write<Lanes1, TNorm>(h, mean, scale, first, whole, Width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static float Add<T>(float* x, float* branch, float* sum, long begin, long end) where T : unmanaged, ILanes<T>
        {
            T a = T.Broadcast(0), b = a, c = a, d = a;
            long i = begin;
            for (; i <= end - 4 * T.Count; i += 4 * T.Count)
            {
                a += Add<T>(x, branch, sum, i);
                b += Add<T>(x, branch, sum, i + T.Count);
                c += Add<T>(x, branch, sum, i + 2 * T.Count);
                d += Add<T>(x, branch, sum, i + 3 * T.Count);
            }
            for (; i < end; i += T.Count) a += Add<T>(x, branch, sum, i);
            return T.Sum((a + b) + (c + d));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T Add<T>(float* x, float* branch, float* sum, long i) where T : unmanaged, ILanes<T>
        {
            T added = T.Load(x + i) + T.Load(branch + i);
            T.Store(added, sum + i);
            return added;
        }

        [MethodImpl(Lanes.Loop)]
        private static float Total<T>(float* h, long begin, long end) where T : unmanaged, ILanes<T>
        {
            T a = T.Broadcast(0), b = a, c = a, d = a;
            long i = begin;
            for (; i <= end - 4 * T.Count; i += 4 * T.Count)
            {
                a += T.Load(h + i);
                b += T.Load(h + i + T.Count);
                c += T.Load(h + i + 2 * T.Count);
                d += T.Load(h + i + 3 * T.Count);
            }
            for (; i < end; i += T.Count) a += T.Load(h + i);
            return T.Sum((a + b) + (c + d));
        }

        [MethodImpl(Lanes.Loop)]
        private static float Squares<T>(float* h, float mean, long begin, long end) where T : unmanaged, ILanes<T>
        {
            T m = T.Broadcast(mean), a = T.Broadcast(0), b = a, c = a, d = a;
            long i = begin;
            for (; i <= end - 4 * T.Count; i += 4 * T.Count)
            {
                a = Square(h + i, m, a);
                b = Square(h + i + T.Count, m, b);
                c = Square(h + i + 2 * T.Count, m, c);
                d = Square(h + i + 3 * T.Count, m, d);
            }
            for (; i < end; i += T.Count) a = Square(h + i, m, a);
            return T.Sum((a + b) + (c + d));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static T Square<T>(float* h, T mean, T sum) where T : unmanaged, ILanes<T>
        {
            T centred = T.Load(h) - mean;
            return T.MultiplyAdd(centred, centred, sum);
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Write<T, TNorm>(float* h, float mean, float scale, long first, long begin, long end)
            where T : unmanaged, ILanes<T> where TNorm : IStored
        {
            T m = T.Broadcast(mean), s = T.Broadcast(scale);
            float* weight = Weight, bias = Bias;
            void* norm = Norm;
            if (bias is null)
                for (long i = begin; i < end; i += T.Count) TNorm.Store((T.Load(h + i) - m) * s * T.Load(weight + i), norm, first + i);
            else
                for (long i = begin; i < end; i += T.Count)
                    TNorm.Store(T.MultiplyAdd((T.Load(h + i) - m) * s, T.Load(weight + i), T.Load(bias + i)), norm, first + i);
        }
    }

    // With n = (h − mean)·scale and g = dy·weight: dh = dsum + scale·(g − mean(g) − n·mean(g·n)); dweight = Σ dy·n; dbias = Σ dy.
    private unsafe struct BackwardLoop : ILoop
    {
        public float* X, Weight, Statistics, SumGradient, Gradient, Weights, Biases;
        public void* NormGradient;
        public long Rows, Width, Groups;
        public bool Centred, Rounded;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            for (long group = begin; group < end; group++)
            {
                float* weights = Weights is null ? null : Weights + group * Width, biases = Biases is null ? null : Biases + group * Width;
                if (weights is not null) new Span<float>(weights, (int)Width).Clear();
                if (biases is not null) new Span<float>(biases, (int)Width).Clear();
                long firstRow = group * Rows / Groups, lastRow = (group + 1) * Rows / Groups;
                if (Rounded) Run<T, StoredBFloat16>(firstRow, lastRow, weights, biases);
                else Run<T, StoredFloat32>(firstRow, lastRow, weights, biases);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Run<T, TGradient>(long begin, long end, float* weights, float* biases)
            where T : unmanaged, ILanes<T> where TGradient : IStored
        {
            long whole = Width - Width % T.Count;
            float inverse = 1f / Width;
            for (long row = begin; row < end; row++)
            {
                float mean = Statistics[row], scale = Statistics[Rows + row];
                var (total, projected) = Sums<T, TGradient>(row * Width, mean, scale, weights, 0, whole);
                var (totalOfRest, projectedOfRest) = Sums<Lanes1, TGradient>(row * Width, mean, scale, weights, whole, Width);
                if (biases is not null)
                {
                    AddTo<T, TGradient>(biases, row * Width, 0, whole);
                    AddTo<Lanes1, TGradient>(biases, row * Width, whole, Width);
                }
                float shift = Centred ? (total + totalOfRest) * inverse : 0, slope = (projected + projectedOfRest) * inverse;
                Write<T, TGradient>(row * Width, mean, scale, shift, slope, 0, whole);
                Write<Lanes1, TGradient>(row * Width, mean, scale, shift, slope, whole, Width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private readonly (float, float) Sums<T, TGradient>(long first, float mean, float scale, float* weights, long begin, long end)
            where T : unmanaged, ILanes<T> where TGradient : IStored
        {
            T m = T.Broadcast(mean), s = T.Broadcast(scale), total = T.Broadcast(0), projected = total;
            float* x = X + first, weight = Weight;
            void* gradient = NormGradient;
            for (long i = begin; i < end; i += T.Count)
            {
                T dy = TGradient.Load<T>(gradient, first + i), n = (T.Load(x + i) - m) * s, g = dy * T.Load(weight + i);
                if (weights is not null) T.Store(T.MultiplyAdd(dy, n, T.Load(weights + i)), weights + i);
                total += g;
                projected = T.MultiplyAdd(g, n, projected);
            }
            return (T.Sum(total), T.Sum(projected));
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void AddTo<T, TGradient>(float* biases, long first, long begin, long end)
            where T : unmanaged, ILanes<T> where TGradient : IStored
        {
            void* gradient = NormGradient;
            for (long i = begin; i < end; i += T.Count) T.Store(T.Load(biases + i) + TGradient.Load<T>(gradient, first + i), biases + i);
        }

        [MethodImpl(Lanes.Loop)]
        private readonly void Write<T, TGradient>(long first, float mean, float scale, float shift, float slope, long begin, long end)
            where T : unmanaged, ILanes<T> where TGradient : IStored
        {
            // scale·(g − shift − n·slope) = scale·g − (h − mean)·scale²·slope − scale·shift
            T m = T.Broadcast(mean), s = T.Broadcast(scale), tilt = T.Broadcast(-scale * scale * slope),
                offset = T.Broadcast(-scale * shift);
            float* x = X + first, weight = Weight, sum = SumGradient is null ? null : SumGradient + first, target = Gradient + first;
            void* gradient = NormGradient;
            for (long i = begin; i < end; i += T.Count)
            {
                T g = TGradient.Load<T>(gradient, first + i) * T.Load(weight + i);
                T dx = T.MultiplyAdd(g, s, T.MultiplyAdd(T.Load(x + i) - m, tilt, offset));
                T.Store(sum is null ? dx : dx + T.Load(sum + i), target + i);
            }
        }
    }
}
