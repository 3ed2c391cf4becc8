// Shapes: x (…, K) = N rows, weight (M, K), bias (M), result (…, M).
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Linear layers as one autograd node, in float32 or multiplied in bfloat16 (mixed precision, Micikevicius et al. 2018).</summary>
/// <remarks>Gradients of weights are float32. The kernels have no second derivative.</remarks>
public static class MixedPrecisionLinear
{
    /// <summary>x·weightᵀ + bias: (…, K), (M, K), (M) → (…, M).</summary>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias = null) => IsSupported(x, weight, bias)
        ? LinearFunction.apply(x, weight, bias)
        : nn.functional.linear(x, weight, bias);

    /// <summary>x·weightᵀ + bias, multiplied in bfloat16 by the compute weight <c>rounded</c> and summed in float32; the gradients of x and
    /// weight likewise. The result and its gradient are bfloat16 if <c>rounds</c>, else float32; x is saved as bfloat16.</summary>
    /// <remarks>Weights are (M, K); the float32 one only gets the gradient, and may be the rounded one where none is needed.</remarks>
    /// <exception cref="TorchException">The weights do not fit each other.</exception>
    public static Tensor ApplyRounded(Tensor x, Tensor weight, Tensor rounded, Tensor? bias = null, bool rounds = false)
    {
        if (weight.dim() != 2 || rounded.dtype != ScalarType.BFloat16 || !weight.shape.AsSpan().SequenceEqual(rounded.shape))
        {
            throw new TorchException(
                $"a rounded linear layer needs a weight and its like in bfloat16, not {weight.dtype} " +
                $"{weight.ShapeText} and {rounded.dtype} {rounded.ShapeText}");
        }
        return IsSupported(x, weight, rounded, bias)
            ? RoundedFunction.apply(x, weight, rounded, bias, rounds)
            : Composed(x, weight, rounded, bias, rounds);
    }

    internal static bool IsSupported(Tensor x, Tensor weight, Tensor? bias) =>
        IsRows(x, weight) && x.dtype == ScalarType.Float32 && MatrixProduct.IsSupported(weight, weight)
        && weight.dtype == ScalarType.Float32 && bias?.dtype is null or ScalarType.Float32;

    internal static bool IsSupported(Tensor x, Tensor weight, Tensor rounded, Tensor? bias) =>
        IsRows(x, weight) && x.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && weight.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && MatrixProduct.IsSupported(rounded, rounded) && rounded.dtype == ScalarType.BFloat16 && bias?.dtype is null or ScalarType.Float32;

    internal static Tensor Composed(Tensor x, Tensor weight, Tensor rounded, Tensor? bias, bool rounds)
    {
        using DisposeScope scope = NewDisposeScope();
        ScalarType sums = x.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        Tensor result = nn.functional.linear(Through(x, x.detach().to(ScalarType.BFloat16)), Through(weight, rounded), bias?.to(sums));
        return (rounds ? result.to(ScalarType.BFloat16) : result).MoveToOuterDisposeScope();

        // Straight-through: rounded, but differentiated as if it were not.
        Tensor Through(Tensor full, Tensor coarse)
        {
            Tensor wide = full.to(sums);
            return wide.add(coarse.to(sums).sub(wide).detach());
        }
    }

    private static bool IsRows(Tensor x, Tensor weight) =>
        x.device_type == DeviceType.CPU && x.dim() > 0 && x.numel() > 0 && weight.dim() == 2 && weight.numel() > 0
        && x.size(-1) == weight.size(1);

    // (…, K) → (N, K), contiguous
    private static Tensor RowsOf(Tensor x, ScalarType type) => x.reshape(-1, x.size(-1)).to(type).contiguous();

    private static long[] Shape(Tensor x, long width) => [.. x.shape.AsSpan()[..^1], width];

    private sealed class LinearFunction : SingleTensorFunction<LinearFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor x = (Tensor)vars[0], weight = (Tensor)vars[1], rows = RowsOf(x, ScalarType.Float32);
            ctx.save_for_backward([rows, weight]);
            return MatrixProduct.Multiply(rows, weight.t(), (Tensor?)vars[2]).view(Shape(x, weight.size(0))).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor rows = ctx.get_saved_variables()[0], weight = ctx.get_saved_variables()[1], dy = RowsOf(grad_output, ScalarType.Float32);
            Tensor? dx = ctx.needs_input_grad(0)
                ? MatrixProduct.Multiply(dy, weight).view(Shape(grad_output, weight.size(1))).MoveToOuterDisposeScope()
                : null;
            Tensor? dweight = ctx.needs_input_grad(1) ? MatrixProduct.Multiply(dy.t(), rows).MoveToOuterDisposeScope() : null;
            return [dx!, dweight!, ctx.needs_input_grad(2) ? ColumnSums.Of(dy).MoveToOuterDisposeScope() : null!];
        }
    }

    private sealed class RoundedFunction : SingleTensorFunction<RoundedFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor x = (Tensor)vars[0], rounded = (Tensor)vars[2], rows = RowsOf(x, ScalarType.BFloat16);
            ctx.save_for_backward([rows, rounded]);
            ctx.save_data("type", x.dtype);
            Tensor result = MatrixProduct.Multiply(
                rows, rounded.t(), (Tensor?)vars[3], (bool)vars[4] ? ScalarType.BFloat16 : ScalarType.Float32);
            return result.view(Shape(x, rounded.size(0))).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor rows = ctx.get_saved_variables()[0], rounded = ctx.get_saved_variables()[1];
            Tensor dy = grad_output.reshape(-1, grad_output.size(-1)), coarse = RowsOf(grad_output, ScalarType.BFloat16);
            Tensor? dx = ctx.needs_input_grad(0)
                ? MatrixProduct.Multiply(coarse, rounded, type: (ScalarType)ctx.get_data("type")!)
                    .view(Shape(grad_output, rounded.size(1))).MoveToOuterDisposeScope()
                : null;
            Tensor? dweight = ctx.needs_input_grad(1) ? MatrixProduct.Multiply(coarse.t(), rows).MoveToOuterDisposeScope() : null;
            return [dx!, dweight!, null!, ctx.needs_input_grad(3) ? ColumnSums.Of(dy).MoveToOuterDisposeScope() : null!, null!];
        }
    }
}

/// <summary>The parameters of a linear layer: Weight (N, K), float32, gets the gradient; Rounded, its compute weight (bfloat16, blocks of 8
/// bits, or Weight itself), is multiplied. Where no gradient is needed, both are the rounded one.</summary>
public readonly record struct LinearWeight(Tensor Weight, Tensor Rounded, Tensor? Bias = null);
