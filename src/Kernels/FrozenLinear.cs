// Shapes: x (…, K) = N rows, weight (M, K), bias (M), result (…, M).
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Linear layers whose weight is kept rounded and is not trained (Dettmers et al. 2023, "QLoRA", arXiv 2305.14314): bfloat16, or blocks
/// of 8 bits. The weight is unpacked for the product, and again in the backward pass, which keeps neither it nor x.</summary>
public static class FrozenLinear
{
    /// <summary>x·weightᵀ + bias, float32 on the CPU, multiplied in <paramref name="computeType"/>: float32 or bfloat16. Gradients reach x, and
    /// a bias that has them.</summary>
    /// <exception cref="TorchException">The weight is neither bfloat16 nor blocks of rows of K.</exception>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias, ScalarType computeType)
    {
        if (weight.dtype is not (ScalarType.BFloat16 or ScalarType.Int8) || weight.requires_grad)
            throw new TorchException($"a frozen weight is bfloat16 or blocks of 8 bits without a gradient, not {weight.dtype}");
        return FrozenFunction.apply(x, weight, bias, computeType);
    }

    /// <summary>The weight in a type of its own: (M, K).</summary>
    public static Tensor Unpacked(Tensor weight, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor numbers = weight.dtype == ScalarType.Int8 ? BlockQuantization.Unpack(weight) : weight;
        return numbers.to(type).MoveToOuterDisposeScope();
    }

    private sealed class FrozenFunction : SingleTensorFunction<FrozenFunction>
    {
        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor x, Tensor weight, ScalarType type) = ((Tensor)vars[0], (Tensor)vars[1], (ScalarType)vars[3]);
            ctx.save_for_backward([weight]);
            ctx.save_data("type", type);
            ctx.save_data("input", x.dtype);
            Tensor rows = x.reshape(-1, x.size(-1)).to(type).contiguous(); // (…, K) → (N, K)
            Tensor result = MatrixProduct.Multiply(rows, Unpacked(weight, type).t(), (Tensor?)vars[2], ScalarType.Float32);
            return result.view([.. x.shape.AsSpan()[..^1], weight.size(0)]).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output)
        {
            using DisposeScope scope = NewDisposeScope();
            ScalarType type = (ScalarType)ctx.get_data("type")!;
            Tensor dy = grad_output.reshape(-1, grad_output.size(-1)), weight = ctx.get_saved_variables()[0];
            Tensor? dx = null;
            if (ctx.needs_input_grad(0))
            {
                Tensor unpacked = Unpacked(weight, type); // (M, K)
                dx = MatrixProduct.Multiply(dy.to(type).contiguous(), unpacked, type: (ScalarType)ctx.get_data("input")!)
                    .view([.. grad_output.shape.AsSpan()[..^1], unpacked.size(1)]).MoveToOuterDisposeScope();
            }
            Tensor? dbias = ctx.needs_input_grad(2) ? Sum(dy.to(ScalarType.Float32)).MoveToOuterDisposeScope() : null;
            return [dx!, null!, dbias!, null!];
        }

        private static Tensor Sum(Tensor rows) => rows.device_type == DeviceType.CPU ? ColumnSums.Of(rows) : rows.sum([0]);
    }
}
