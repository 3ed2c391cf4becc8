using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Absolute values.</summary>
    public static Tensor abs(Tensor input) => input.abs();

    /// <summary>Negated.</summary>
    public static Tensor neg(Tensor input) => input.neg();

    /// <summary>e to the power of each element.</summary>
    public static Tensor exp(Tensor input) => input.exp();

    /// <summary>Natural logarithm.</summary>
    public static Tensor log(Tensor input) => input.log();

    /// <summary>ln(1 + x).</summary>
    public static Tensor log1p(Tensor input) => input.log1p();

    /// <summary>Square root.</summary>
    public static Tensor sqrt(Tensor input) => input.sqrt();

    /// <summary>1 / √x.</summary>
    public static Tensor rsqrt(Tensor input) => input.rsqrt();

    /// <summary>1 / x.</summary>
    public static Tensor reciprocal(Tensor input) => input.reciprocal();

    /// <summary>x².</summary>
    public static Tensor square(Tensor input) => input.square();

    /// <summary>Sine of radians.</summary>
    public static Tensor sin(Tensor input) => input.sin();

    /// <summary>Cosine of radians.</summary>
    public static Tensor cos(Tensor input) => input.cos();

    /// <summary>Hyperbolic tangent.</summary>
    public static Tensor tanh(Tensor input) => input.tanh();

    /// <summary>1 / (1 + e^−x).</summary>
    public static Tensor sigmoid(Tensor input) => input.sigmoid();

    /// <summary>max(x, 0).</summary>
    public static Tensor relu(Tensor input) => input.relu();

    /// <summary>The error function.</summary>
    public static Tensor erf(Tensor input) => input.erf();

    /// <summary>Rounded down.</summary>
    public static Tensor floor(Tensor input) => input.floor();

    /// <summary>Rounded up.</summary>
    public static Tensor ceil(Tensor input) => input.ceil();

    /// <summary>Rounded to the nearest, halves to even.</summary>
    public static Tensor round(Tensor input) => input.round();

    /// <summary>−1, 0 or 1.</summary>
    public static Tensor sign(Tensor input) => input.sign();

    /// <summary>True where neither infinite nor NaN.</summary>
    public static Tensor isfinite(Tensor input) => input.isfinite();

    /// <summary>True where NaN.</summary>
    public static Tensor isnan(Tensor input) => input.isnan();

    /// <summary>True where infinite.</summary>
    public static Tensor isinf(Tensor input) => input.isinf();

    /// <summary>True where zero or false.</summary>
    public static Tensor logical_not(Tensor input) => input.logical_not();

    /// <summary>x · sigmoid(x).</summary>
    public static Tensor silu(Tensor input) => input.silu();

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor mul(Tensor left, Tensor right) => left.mul(right);

    /// <summary>Element by element.</summary>
    public static Tensor mul(Tensor left, Scalar right) => left.mul(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor div(Tensor left, Tensor right) => left.div(right);

    /// <summary>Element by element.</summary>
    public static Tensor div(Tensor left, Scalar right) => left.div(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor pow(Tensor left, Tensor right) => left.pow(right);

    /// <summary>Element by element.</summary>
    public static Tensor pow(Tensor left, Scalar right) => left.pow(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor eq(Tensor left, Tensor right) => left.eq(right);

    /// <summary>Element by element.</summary>
    public static Tensor eq(Tensor left, Scalar right) => left.eq(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor ne(Tensor left, Tensor right) => left.ne(right);

    /// <summary>Element by element.</summary>
    public static Tensor ne(Tensor left, Scalar right) => left.ne(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor lt(Tensor left, Tensor right) => left.lt(right);

    /// <summary>Element by element.</summary>
    public static Tensor lt(Tensor left, Scalar right) => left.lt(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor le(Tensor left, Tensor right) => left.le(right);

    /// <summary>Element by element.</summary>
    public static Tensor le(Tensor left, Scalar right) => left.le(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor gt(Tensor left, Tensor right) => left.gt(right);

    /// <summary>Element by element.</summary>
    public static Tensor gt(Tensor left, Scalar right) => left.gt(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor ge(Tensor left, Tensor right) => left.ge(right);

    /// <summary>Element by element.</summary>
    public static Tensor ge(Tensor left, Scalar right) => left.ge(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor add(Tensor left, Tensor right) => left.add(right);

    /// <summary>Element by element.</summary>
    public static Tensor add(Tensor left, Scalar right) => left.add(right);

    /// <summary>Element by element, broadcast.</summary>
    public static Tensor sub(Tensor left, Tensor right) => left.sub(right);

    /// <summary>Element by element.</summary>
    public static Tensor sub(Tensor left, Scalar right) => left.sub(right);

    /// <summary>The greater of each pair.</summary>
    public static Tensor maximum(Tensor input, Tensor other) => input.maximum(other);

    /// <summary>The smaller of each pair.</summary>
    public static Tensor minimum(Tensor input, Tensor other) => input.minimum(other);

    /// <summary>From x where the condition holds, else from y.</summary>
    public static Tensor where(Tensor condition, Tensor x, Tensor y) => x.where(condition, y);

    /// <summary>Matrix product, batches broadcast.</summary>
    public static Tensor matmul(Tensor input, Tensor target) => input.matmul(target);

    /// <summary>Sum of all elements.</summary>
    public static Tensor sum(Tensor input) => input.sum();

    /// <summary>Mean of all elements.</summary>
    public static Tensor mean(Tensor input) => input.mean();

    /// <summary>eˣ / Σ eˣ along a dimension.</summary>
    public static Tensor softmax(Tensor input, long dim, ScalarType? dtype = null) => input.softmax(dim, dtype);

    /// <summary>ln softmax along a dimension.</summary>
    public static Tensor log_softmax(Tensor input, long dim, ScalarType? dtype = null) => input.log_softmax(dim, dtype);

    /// <summary>Two dimensions exchanged.</summary>
    public static Tensor transpose(Tensor input, long dim0, long dim1) => input.transpose(dim0, dim1);

    /// <summary>The lower triangle.</summary>
    public static Tensor tril(Tensor input, long diagonal = 0) => input.tril(diagonal);

    /// <summary>The upper triangle.</summary>
    public static Tensor triu(Tensor input, long diagonal = 0) => input.triu(diagonal);

    /// <summary>Whether all values agree: |a − b| ≤ atol + rtol·|b|.</summary>
    public static bool allclose(Tensor input, Tensor target, double rtol = 1e-05, double atol = 1e-08, bool equal_nan = false) => input.allclose(target, rtol, atol, equal_nan);

    /// <summary>Joined along a dimension.</summary>
    public static unsafe Tensor cat(IEnumerable<Tensor> tensors, long dim = 0)
    {
        using var pointers = new TensorPointers(tensors as IReadOnlyList<Tensor> ?? [.. tensors]);
        fixed (nint* list = pointers) return Native.Own(tn_cat(list, pointers.Count, dim, out var result), result);
    }

    /// <summary>Joined along a new dimension.</summary>
    public static unsafe Tensor stack(IEnumerable<Tensor> tensors, long dim = 0)
    {
        using var pointers = new TensorPointers(tensors as IReadOnlyList<Tensor> ?? [.. tensors]);
        fixed (nint* list = pointers) return Native.Own(tn_stack(list, pointers.Count, dim, out var result), result);
    }

    /// <summary>Sums of products in Einstein's notation, such as <c>bhqd,bhkd-&gt;bhqk</c>.</summary>
    public static unsafe Tensor einsum(string equation, params Tensor[] tensors)
    {
        using var pointers = new TensorPointers(tensors);
        fixed (nint* list = pointers) return Native.Own(tn_einsum(equation, list, pointers.Count, out var result), result);
    }
}
