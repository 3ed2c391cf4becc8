// Shapes: N rows, C model dimension, F hidden dimension, W = F, or 2F = [gate | up] where the function is gated.
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>down(f(up(x))) on the CPU, multiplied in bfloat16 with float32 sums. Of the hidden layer only the input of f is saved, in
/// bfloat16.</summary>
/// <remarks>The hidden layer is as wide as the rest of a block together. It is rounded where it is made, some rows at a time, so that its
/// float32 sums stay in the cache; the backward pass recomputes the output of f beside its slope. The kernel has no second
/// derivative.</remarks>
public static unsafe class FusedFeedForward
{
    // Rows of the hidden layer held at once.
    private const long RowsAtOnce = 1024;

    // Fewest elements worth a thread.
    private const long Grain = 8192;

    /// <summary>x (…, C), float32 or bfloat16 as is its gradient, with weights (W, C) and (C, F) → (…, C), float32.</summary>
    /// <exception cref="TorchException">The shapes do not fit.</exception>
    public static Tensor Apply(Tensor x, LinearWeight up, LinearWeight down, FeedForwardFunction function)
    {
        if (x.dim() == 0 || up.Weight.dim() != 2 || down.Weight.dim() != 2 || x.size(-1) != up.Weight.size(1)
            || up.Weight.size(0) != (Loops.Of(function).IsGated ? 2 : 1) * down.Weight.size(1))
        {
            throw new TorchException(
                $"{function} between matrices of {up.Weight.ShapeText} and {down.Weight.ShapeText} does not fit an input of {x.ShapeText}");
        }
        return IsSupported(x, up, down)
            ? ApplyFunction.apply(x, up.Weight, up.Rounded, up.Bias, down.Weight, down.Rounded, down.Bias, function)
            : Composed(x, up, down, function);
    }

    internal static bool IsSupported(Tensor x, LinearWeight up, LinearWeight down) =>
        Lanes.IsSupported && x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && x.numel() > 0
        && IsSupported(up) && IsSupported(down);

    internal static Tensor Composed(Tensor x, LinearWeight up, LinearWeight down, FeedForwardFunction function)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor read = Coarse(nn.functional.linear(Coarse(x), Multiplied(up), up.Bias?.to(SumType(x)))); // (…, C) → (…, W)
        Tensor hidden = Coarse(Loops.Of(function).Composed(read)); // (…, W) → (…, F)
        return nn.functional.linear(hidden, Multiplied(down), down.Bias?.to(SumType(x))).MoveToOuterDisposeScope(); // (…, F) → (…, C)

        // Straight-through: rounded, but differentiated as if it were not.
        Tensor Coarse(Tensor full) => Through(full, full.detach().to(ScalarType.BFloat16));

        Tensor Multiplied(LinearWeight layer) => Through(layer.Weight, layer.Rounded);

        Tensor Through(Tensor full, Tensor rounded)
        {
            Tensor wide = full.to(SumType(x));
            return wide.add(rounded.to(SumType(x)).sub(wide).detach());
        }

        static ScalarType SumType(Tensor x) => x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
    }

    private static bool IsSupported(LinearWeight layer) =>
        layer.Weight.device_type == DeviceType.CPU && layer.Weight.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && layer.Rounded.device_type == DeviceType.CPU && layer.Rounded.dtype == ScalarType.BFloat16 && layer.Rounded.is_contiguous()
        && layer.Weight.numel() > 0 && layer.Weight.shape.AsSpan().SequenceEqual(layer.Rounded.shape)
        && (layer.Bias is null || layer.Bias.dtype == ScalarType.Float32);

    private sealed class ApplyFunction : SingleTensorFunction<ApplyFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor x = (Tensor)vars[0], up = (Tensor)vars[2], down = (Tensor)vars[5];
            Tensor? upBias = ((Tensor?)vars[3])?.contiguous(), downBias = (Tensor?)vars[6];
            Loops loops = Loops.Of((FeedForwardFunction)vars[7]);
            Tensor rows = x.reshape(-1, x.size(-1)).to(ScalarType.BFloat16).contiguous(); // (N, C)
            long count = rows.size(0), most = Math.Min(count, RowsAtOnce), wide = up.size(0), width = down.size(1);
            Tensor result = empty([count, down.size(0)], ScalarType.Float32), sums = empty([most, wide], ScalarType.Float32),
                hidden = empty([most, width], ScalarType.BFloat16);
            Tensor read = empty([ctx.Records ? count : most, wide], ScalarType.BFloat16), across = up.t(), back = down.t();
            for (long first = 0; first < count; first += most)
            {
                using DisposeScope part = NewDisposeScope();
                long n = Math.Min(most, count - first);
                MatrixProduct.MultiplyInto(sums.narrow(0, 0, n), rows.narrow(0, first, n), across);
                loops.Forward(new()
                {
                    Sums = (float*)sums.DataPointer, Bias = upBias is null ? null : (float*)upBias.DataPointer,
                    Read = (ushort*)read.DataPointer + (ctx.Records ? first * wide : 0), Hidden = (ushort*)hidden.DataPointer,
                    Rows = n, Width = width,
                });
                MatrixProduct.MultiplyInto(result.narrow(0, first, n), hidden.narrow(0, 0, n), back);
            }
            if (downBias is not null) result.add_(downBias);
            ctx.save_for_backward([rows, read, up, down]);
            ctx.save_data("function", vars[7]);
            ctx.save_data("type", x.dtype);
            return result.view([.. x.shape.AsSpan()[..^1], down.size(0)]).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            List<Tensor> saved = ctx.get_saved_variables();
            Tensor rows = saved[0], read = saved[1], up = saved[2], down = saved[3];
            Tensor gradient = grad_output.reshape(-1, down.size(0)); // (N, C)
            Loops loops = Loops.Of((FeedForwardFunction)ctx.get_data("function")!);
            ScalarType type = (ScalarType)ctx.get_data("type")!;
            long count = rows.size(0), most = Math.Min(count, RowsAtOnce), wide = up.size(0), width = down.size(1),
                groups = ColumnSums.Groups(most);
            Tensor dy = gradient.to(ScalarType.BFloat16).contiguous();
            Tensor dhidden = empty([most, width], ScalarType.Float32), hidden = empty([most, width], ScalarType.BFloat16),
                dread = empty([most, wide], ScalarType.BFloat16);
            Tensor? dx = ctx.needs_input_grad(0) ? empty(rows.shape, type) : null;
            Tensor? dup = ctx.needs_input_grad(1) ? empty(up.shape, ScalarType.Float32) : null;
            Tensor? ddown = ctx.needs_input_grad(4) ? empty(down.shape, ScalarType.Float32) : null;
            Tensor? biases = ctx.needs_input_grad(3) ? zeros([groups, wide], ScalarType.Float32) : null;
            for (long first = 0; first < count; first += most)
            {
                using DisposeScope part = NewDisposeScope();
                long n = Math.Min(most, count - first);
                Tensor x = rows.narrow(0, first, n), d = dy.narrow(0, first, n), dr = dread.narrow(0, 0, n);
                MatrixProduct.MultiplyInto(dhidden.narrow(0, 0, n), d, down);
                loops.Backward(new()
                {
                    Read = (ushort*)read.DataPointer + first * wide, ReadGradient = (ushort*)dread.DataPointer,
                    Hidden = (ushort*)hidden.DataPointer, HiddenGradient = (float*)dhidden.DataPointer,
                    Biases = biases is null ? null : (float*)biases.DataPointer,
                    Rows = n, Width = width, Groups = groups,
                });
                if (ddown is not null) MatrixProduct.MultiplyInto(ddown, d.t(), hidden.narrow(0, 0, n), add: first > 0);
                if (dup is not null) MatrixProduct.MultiplyInto(dup, dr.t(), x, add: first > 0);
                if (dx is null) continue;
                if (type == ScalarType.Float32) MatrixProduct.MultiplyInto(dx.narrow(0, first, n), dr, up);
                else dx.narrow(0, first, n).copy_(MatrixProduct.Multiply(dr, up, type: type));
            }
            Tensor?[] gradients =
            [
                dx?.view([.. grad_output.shape.AsSpan()[..^1], up.size(1)]),
                dup, null, biases is null ? null : ColumnSums.OfGroups(biases),
                ddown, null, ctx.needs_input_grad(6) ? ColumnSums.Of(gradient) : null,
                null,
            ];
            return [.. gradients.Select(made => made?.MoveToOuterDisposeScope()!)];
        }
    }

    private struct ForwardRows
    {
        public float* Sums, Bias; // output of the first matrix, (N, W), and its bias, (W) or null
        public ushort* Read, Hidden; // input (N, W) and output (N, F) of the function, bfloat16
        public long Rows, Width;
    }

    private struct BackwardRows
    {
        public ushort* Read, Hidden, ReadGradient; // input (N, W) and output (N, F) of the function, and the gradient of its input (N, W)
        public float* HiddenGradient, Biases; // gradient of the output, (N, F), and of the bias, (groups, W) or null
        public long Rows, Width, Groups;
    }

    private abstract class Loops
    {
        private static readonly Loops Gelu = new Plain<GeluFunction>();
        private static readonly Loops GeluTanh = new Plain<GeluTanhFunction>();
        private static readonly Loops Silu = new Plain<SiluFunction>();
        private static readonly Loops SquaredRelu = new Plain<SquaredReluFunction>();
        private static readonly Loops SwiGlu = new Gated<SiluFunction>();
        private static readonly Loops GeGlu = new Gated<GeluFunction>();
        private static readonly Loops GeGluTanh = new Gated<GeluTanhFunction>();

        public abstract bool IsGated { get; }

        public static Loops Of(FeedForwardFunction function) => function switch
        {
            FeedForwardFunction.Gelu => Gelu,
            FeedForwardFunction.SwiGlu => SwiGlu,
            FeedForwardFunction.GeluTanh => GeluTanh,
            FeedForwardFunction.Silu => Silu,
            FeedForwardFunction.SquaredRelu => SquaredRelu,
            FeedForwardFunction.GeGlu => GeGlu,
            FeedForwardFunction.GeGluTanh => GeGluTanh,
            _ => throw new ArgumentOutOfRangeException(nameof(function), function, "unknown function"),
        };

        public abstract Tensor Composed(Tensor read);

        public abstract void Forward(ForwardRows rows);

        public abstract void Backward(BackwardRows rows);
    }

    private sealed class Plain<TFunction> : Loops where TFunction : struct, IActivation
    {
        public override bool IsGated => false;

        public override Tensor Composed(Tensor read) => TFunction.Composed(read);

        public override void Forward(ForwardRows rows) =>
            ParallelFor.Run(rows.Rows, Math.Max(1, Grain / rows.Width), new PlainForward<TFunction> { Rows = rows });

        public override void Backward(BackwardRows rows) =>
            ParallelFor.Run(rows.Groups, Math.Max(1, Grain * rows.Groups / (rows.Rows * rows.Width)),
                new PlainBackward<TFunction> { Rows = rows });
    }

    private sealed class Gated<TFunction> : Loops where TFunction : struct, IActivation
    {
        public override bool IsGated => true;

        public override Tensor Composed(Tensor read) => Activations.ComposedGated<TFunction>(read);

        public override void Forward(ForwardRows rows) =>
            ParallelFor.Run(rows.Rows, Math.Max(1, Grain / rows.Width), new GatedForward<TFunction> { Rows = rows });

        public override void Backward(BackwardRows rows) =>
            ParallelFor.Run(rows.Groups, Math.Max(1, Grain * rows.Groups / (rows.Rows * rows.Width)),
                new GatedBackward<TFunction> { Rows = rows });
    }

    private struct PlainForward<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public ForwardRows Rows;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long width = Rows.Width, whole = width - width % T.Count;
            for (long row = begin; row < end; row++)
            {
                Part<T>(Rows.Sums + row * width, Rows.Bias, Rows.Read + row * width, Rows.Hidden + row * width, 0, whole);
                Part<Lanes1>(Rows.Sums + row * width, Rows.Bias, Rows.Read + row * width, Rows.Hidden + row * width, whole, width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* sums, float* bias, ushort* read, ushort* hidden, long begin, long end)
            where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
                T.StoreBFloat16(TFunction.Value(Round<T>(sums + i, bias is null ? null : bias + i, read + i)), hidden + i);
        }
    }

    private struct GatedForward<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public ForwardRows Rows;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long width = Rows.Width, whole = width - width % T.Count;
            for (long row = begin; row < end; row++)
            {
                float* sums = Rows.Sums + 2 * row * width;
                ushort* read = Rows.Read + 2 * row * width, hidden = Rows.Hidden + row * width;
                Part<T>(sums, Rows.Bias, read, hidden, width, 0, whole);
                Part<Lanes1>(sums, Rows.Bias, read, hidden, width, whole, width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* sums, float* bias, ushort* read, ushort* hidden, long width, long begin, long end)
            where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                T gate = Round<T>(sums + i, bias is null ? null : bias + i, read + i);
                T up = Round<T>(sums + width + i, bias is null ? null : bias + width + i, read + width + i);
                T.StoreBFloat16(TFunction.Value(gate) * up, hidden + i);
            }
        }
    }

    // The sum and its bias, rounded as stored.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Round<T>(float* sum, float* bias, ushort* read) where T : unmanaged, ILanes<T>
    {
        T full = T.Load(sum);
        if (bias is not null) full += T.Load(bias);
        T.StoreBFloat16(full, read);
        return T.LoadBFloat16(read);
    }

    private struct PlainBackward<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public BackwardRows Rows;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long width = Rows.Width, whole = width - width % T.Count;
            for (long group = begin; group < end; group++)
            for (long row = group * Rows.Rows / Rows.Groups; row < (group + 1) * Rows.Rows / Rows.Groups; row++)
            {
                float* biases = Rows.Biases is null ? null : Rows.Biases + group * width;
                ushort* read = Rows.Read + row * width, hidden = Rows.Hidden + row * width, dread = Rows.ReadGradient + row * width;
                Part<T>(read, Rows.HiddenGradient + row * width, hidden, dread, biases, 0, whole);
                Part<Lanes1>(read, Rows.HiddenGradient + row * width, hidden, dread, biases, whole, width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(ushort* read, float* dy, ushort* hidden, ushort* dread, float* biases, long begin, long end)
            where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                T.StoreBFloat16(TFunction.Value(T.LoadBFloat16(read + i), out T slope), hidden + i);
                T.StoreBFloat16(T.Load(dy + i) * slope, dread + i);
                if (biases is not null) T.Store(T.Load(biases + i) + T.LoadBFloat16(dread + i), biases + i);
            }
        }
    }

    private struct GatedBackward<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public BackwardRows Rows;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long width = Rows.Width, whole = width - width % T.Count;
            for (long group = begin; group < end; group++)
            for (long row = group * Rows.Rows / Rows.Groups; row < (group + 1) * Rows.Rows / Rows.Groups; row++)
            {
                float* biases = Rows.Biases is null ? null : Rows.Biases + 2 * group * width;
                ushort* read = Rows.Read + 2 * row * width, dread = Rows.ReadGradient + 2 * row * width;
                Part<T>(read, Rows.HiddenGradient + row * width, Rows.Hidden + row * width, dread, biases, width, 0, whole);
                Part<Lanes1>(read, Rows.HiddenGradient + row * width, Rows.Hidden + row * width, dread, biases, width, whole, width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(ushort* read, float* dy, ushort* hidden, ushort* dread, float* biases, long width, long begin, long end)
            where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                T gradient = T.Load(dy + i), up = T.LoadBFloat16(read + width + i),
                    value = TFunction.Value(T.LoadBFloat16(read + i), out T slope);
                T.StoreBFloat16(value * up, hidden + i);
                T.StoreBFloat16(gradient * up * slope, dread + i);
                T.StoreBFloat16(gradient * value, dread + width + i);
                if (biases is null) continue;
                T.Store(T.Load(biases + i) + T.LoadBFloat16(dread + i), biases + i);
                T.Store(T.Load(biases + width + i) + T.LoadBFloat16(dread + width + i), biases + width + i);
            }
        }
    }
}
