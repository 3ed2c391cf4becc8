// Shapes: F hidden dimension.
using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Activations of a feed-forward layer, each with its derivative in one pass over memory; only their input is saved.</summary>
/// <remarks>float32 on the CPU; elsewhere libtorch's operators. The kernels have no second derivative.</remarks>
public static class Activations
{
    // Fewest elements worth a thread.
    private const long Grain = 8192;

    /// <summary>x·Φ(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415).</summary>
    public static Tensor Gelu(Tensor x) => Elementwise<GeluFunction>(x);

    /// <summary>GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))).</summary>
    internal static Tensor GeluTanh(Tensor x) => Elementwise<GeluTanhFunction>(x);

    /// <summary>x·σ(x) (Elfwing et al. 2017, arXiv 1702.03118).</summary>
    internal static Tensor Silu(Tensor x) => Elementwise<SiluFunction>(x);

    /// <summary>max(0, x)² (So et al. 2021, arXiv 2109.08668).</summary>
    internal static Tensor SquaredRelu(Tensor x) => Elementwise<SquaredReluFunction>(x);

    /// <summary>SiLU(gate)·up of [gate | up] (Shazeer 2020, arXiv 2002.05202): (…, 2F) → (…, F).</summary>
    /// <exception cref="TorchException">The last dimension is odd.</exception>
    public static Tensor SwiGlu(Tensor gateUp) => Gated<SiluFunction>(gateUp);

    /// <summary>GELU(gate)·up of [gate | up]: (…, 2F) → (…, F).</summary>
    internal static Tensor GeGlu(Tensor gateUp) => Gated<GeluFunction>(gateUp);

    /// <summary><see cref="GeGlu"/> with <see cref="GeluTanh"/>.</summary>
    internal static Tensor GeGluTanh(Tensor gateUp) => Gated<GeluTanhFunction>(gateUp);

    internal static bool IsSupported(Tensor x) =>
        Lanes.IsSupported && x.device_type == DeviceType.CPU && x.dtype == ScalarType.Float32 && x.numel() > 0;

    private static Tensor Elementwise<TFunction>(Tensor x) where TFunction : struct, IActivation =>
        IsSupported(x) ? ElementwiseFunction<TFunction>.apply(x) : TFunction.Composed(x);

    private static Tensor Gated<TFunction>(Tensor gateUp) where TFunction : struct, IActivation
    {
        if (gateUp.dim() == 0 || gateUp.size(-1) % 2 != 0)
            throw new TorchException($"gate and up need a last dimension of even size, not {gateUp.ShapeText}");
        return IsSupported(gateUp) ? GatedFunction<TFunction>.apply(gateUp) : ComposedGated<TFunction>(gateUp);
    }

    /// <summary>f(x) of (N) on the calling thread; y may be x.</summary>
    internal static unsafe void Apply<TFunction>(float* x, float* y, long count) where TFunction : struct, IElementwise =>
        Lanes.Run(new ValueLoop<TFunction> { X = x, Y = y }, 0, count);

    /// <summary>f(gate)·up of [gate | up] on the calling thread: (N, 2F) → (N, F).</summary>
    internal static unsafe void ApplyGated<TFunction>(float* gateUp, float* y, long rows, long width)
        where TFunction : struct, IElementwise =>
        Lanes.Run(new GatedValueLoop<TFunction> { X = gateUp, Y = y, Width = width }, 0, rows);

    internal static Tensor ComposedGated<TFunction>(Tensor gateUp) where TFunction : struct, IActivation
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] halves = gateUp.chunk(2, -1); // (…, 2F) → 2 · (…, F)
        return TFunction.Composed(halves[0]).mul(halves[1]).MoveToOuterDisposeScope();
    }

    private sealed class ElementwiseFunction<TFunction> : SingleTensorFunction<ElementwiseFunction<TFunction>>
        where TFunction : struct, IActivation
    {
        public override unsafe Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using Tensor x = ((Tensor)vars[0]).contiguous();
            Tensor y = empty(x.shape, ScalarType.Float32);
            ParallelFor.Run(x.numel(), Grain, new ValueLoop<TFunction> { X = (float*)x.DataPointer, Y = (float*)y.DataPointer });
            ctx.save_for_backward([x]);
            return y;
        }

        public override unsafe List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            Tensor x = ctx.get_saved_variables()[0], dx = empty(x.shape, ScalarType.Float32);
            using Tensor dy = grad_output.contiguous();
            SlopeLoop<TFunction> loop = new()
            {
                X = (float*)x.DataPointer, Gradient = (float*)dy.DataPointer, InputGradient = (float*)dx.DataPointer,
            };
            ParallelFor.Run(x.numel(), Grain, loop);
            return [dx];
        }
    }

    private sealed class GatedFunction<TFunction> : SingleTensorFunction<GatedFunction<TFunction>> where TFunction : struct, IActivation
    {
        public override unsafe Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using Tensor x = ((Tensor)vars[0]).contiguous();
            long width = x.size(-1) / 2;
            Tensor y = empty([.. x.shape.AsSpan()[..^1], width], ScalarType.Float32);
            GatedValueLoop<TFunction> loop = new() { X = (float*)x.DataPointer, Y = (float*)y.DataPointer, Width = width };
            ParallelFor.Run(x.numel() / (2 * width), Math.Max(1, Grain / width), loop);
            ctx.save_for_backward([x]);
            return y;
        }

        public override unsafe List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            Tensor x = ctx.get_saved_variables()[0], dx = empty(x.shape, ScalarType.Float32);
            using Tensor dy = grad_output.contiguous();
            long width = x.size(-1) / 2;
            GatedSlopeLoop<TFunction> loop = new()
            {
                X = (float*)x.DataPointer, Gradient = (float*)dy.DataPointer, InputGradient = (float*)dx.DataPointer, Width = width,
            };
            ParallelFor.Run(x.numel() / (2 * width), Math.Max(1, Grain / width), loop);
            return [dx];
        }
    }

    private unsafe struct ValueLoop<TFunction> : ILoop where TFunction : struct, IElementwise
    {
        public float* X, Y;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = end - (end - begin) % T.Count;
            Part<T>(X, Y, begin, whole);
            Part<Lanes1>(X, Y, whole, end);
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* x, float* y, long begin, long end) where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count) T.Store(TFunction.Value(T.Load(x + i)), y + i);
        }
    }

    private unsafe struct SlopeLoop<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public float* X, Gradient, InputGradient;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = end - (end - begin) % T.Count;
            Part<T>(X, Gradient, InputGradient, begin, whole);
            Part<Lanes1>(X, Gradient, InputGradient, whole, end);
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* x, float* dy, float* dx, long begin, long end) where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                TFunction.Value(T.Load(x + i), out T slope);
                T.Store(T.Load(dy + i) * slope, dx + i);
            }
        }
    }

    private unsafe struct GatedValueLoop<TFunction> : ILoop where TFunction : struct, IElementwise
    {
        public float* X, Y;
        public long Width;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = Width - Width % T.Count;
            for (long row = begin; row < end; row++)
            {
                float* gate = X + 2 * row * Width, y = Y + row * Width;
                Part<T>(gate, gate + Width, y, 0, whole);
                Part<Lanes1>(gate, gate + Width, y, whole, Width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* gate, float* up, float* y, long begin, long end) where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count) T.Store(TFunction.Value(T.Load(gate + i)) * T.Load(up + i), y + i);
        }
    }

    private unsafe struct GatedSlopeLoop<TFunction> : ILoop where TFunction : struct, IActivation
    {
        public float* X, Gradient, InputGradient;
        public long Width;

        public readonly void Run<T>(long begin, long end) where T : unmanaged, ILanes<T>
        {
            long whole = Width - Width % T.Count;
            for (long row = begin; row < end; row++)
            {
                float* gate = X + 2 * row * Width, dgate = InputGradient + 2 * row * Width, dy = Gradient + row * Width;
                Part<T>(gate, gate + Width, dy, dgate, dgate + Width, 0, whole);
                Part<Lanes1>(gate, gate + Width, dy, dgate, dgate + Width, whole, Width);
            }
        }

        [MethodImpl(Lanes.Loop)]
        private static void Part<T>(float* gate, float* up, float* dy, float* dgate, float* dup, long begin, long end)
            where T : unmanaged, ILanes<T>
        {
            for (long i = begin; i < end; i += T.Count)
            {
                T gradient = T.Load(dy + i), value = TFunction.Value(T.Load(gate + i), out T slope);
                T.Store(gradient * value, dup + i);
                T.Store(gradient * T.Load(up + i) * slope, dgate + i);
            }
        }
    }
}

internal interface IElementwise
{
    static abstract T Value<T>(T x) where T : unmanaged, ILanes<T>;
}

internal interface IActivation : IElementwise
{
    static abstract Tensor Composed(Tensor x);

    static abstract T Value<T>(T x, out T slope) where T : unmanaged, ILanes<T>;
}

internal readonly struct GeluFunction : IActivation
{
    public static Tensor Composed(Tensor x) => nn.functional.gelu(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T> => x * VectorMath.NormalDistribution(x, out _);

    // Φ(x) + x·φ(x)
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x, out T slope) where T : unmanaged, ILanes<T>
    {
        T cumulative = VectorMath.NormalDistribution(x, out T density);
        slope = T.MultiplyAdd(x * density, T.Broadcast(0.398942280f), cumulative);
        return x * cumulative;
    }
}

internal readonly struct GeluTanhFunction : IActivation
{
    private const float Root = 1.59576912f; // 2·√(2/π): ½(1 + tanh(z)) = σ(2z)
    private const float Cubic = 0.044715f;

    public static Tensor Composed(Tensor x) => nn.functional.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T> =>
        x * VectorMath.Sigmoid(x * T.MultiplyAdd(x * x, T.Broadcast(Root * Cubic), T.Broadcast(Root)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x, out T slope) where T : unmanaged, ILanes<T>
    {
        T square = x * x, sigmoid = VectorMath.Sigmoid(x * T.MultiplyAdd(square, T.Broadcast(Root * Cubic), T.Broadcast(Root))),
            value = x * sigmoid;
        T inner = T.MultiplyAdd(square, T.Broadcast(3 * Root * Cubic), T.Broadcast(Root));
        slope = T.MultiplyAdd(value * (T.Broadcast(1) - sigmoid), inner, sigmoid);
        return value;
    }
}

internal readonly struct SiluFunction : IActivation
{
    public static Tensor Composed(Tensor x) => nn.functional.silu(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T> => x * VectorMath.Sigmoid(x);

    // σ + x·σ·(1 − σ)
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x, out T slope) where T : unmanaged, ILanes<T>
    {
        T sigmoid = VectorMath.Sigmoid(x), value = x * sigmoid;
        slope = T.MultiplyAdd(value, T.Broadcast(1) - sigmoid, sigmoid);
        return value;
    }
}

internal readonly struct SquaredReluFunction : IActivation
{
    public static Tensor Composed(Tensor x)
    {
        using Tensor positive = x.relu();
        return positive.square();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T>
    {
        T positive = T.MaxNative(T.Broadcast(0), x);
        return positive * positive;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x, out T slope) where T : unmanaged, ILanes<T>
    {
        T positive = T.MaxNative(T.Broadcast(0), x);
        slope = positive + positive;
        return positive * positive;
    }
}

internal readonly struct ReluFunction : IElementwise
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T> => T.MaxNative(T.Broadcast(0), x);
}

internal readonly struct SigmoidFunction : IElementwise
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Value<T>(T x) where T : unmanaged, ILanes<T> => VectorMath.Sigmoid(x);
}
