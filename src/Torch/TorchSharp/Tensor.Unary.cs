using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Absolute values.</summary>
        public Tensor abs() => Native.Own(tn_abs(handle, out var result), result);

        /// <summary>Negated.</summary>
        public Tensor neg() => Native.Own(tn_neg(handle, out var result), result);

        /// <summary>e to the power of each element.</summary>
        public Tensor exp() => Native.Own(tn_exp(handle, out var result), result);

        /// <summary>Natural logarithm.</summary>
        public Tensor log() => Native.Own(tn_log(handle, out var result), result);

        /// <summary>ln(1 + x).</summary>
        public Tensor log1p() => Native.Own(tn_log1p(handle, out var result), result);

        /// <summary>Square root.</summary>
        public Tensor sqrt() => Native.Own(tn_sqrt(handle, out var result), result);

        /// <summary>1 / √x.</summary>
        public Tensor rsqrt() => Native.Own(tn_rsqrt(handle, out var result), result);

        /// <summary>1 / x.</summary>
        public Tensor reciprocal() => Native.Own(tn_reciprocal(handle, out var result), result);

        /// <summary>x².</summary>
        public Tensor square() => Native.Own(tn_square(handle, out var result), result);

        /// <summary>Sine of radians.</summary>
        public Tensor sin() => Native.Own(tn_sin(handle, out var result), result);

        /// <summary>Cosine of radians.</summary>
        public Tensor cos() => Native.Own(tn_cos(handle, out var result), result);

        /// <summary>Hyperbolic tangent.</summary>
        public Tensor tanh() => Native.Own(tn_tanh(handle, out var result), result);

        /// <summary>1 / (1 + e^−x).</summary>
        public Tensor sigmoid() => Native.Own(tn_sigmoid(handle, out var result), result);

        /// <summary>max(x, 0).</summary>
        public Tensor relu() => Native.Own(tn_relu(handle, out var result), result);

        /// <summary>The error function.</summary>
        public Tensor erf() => Native.Own(tn_erf(handle, out var result), result);

        /// <summary>Rounded down.</summary>
        public Tensor floor() => Native.Own(tn_floor(handle, out var result), result);

        /// <summary>Rounded up.</summary>
        public Tensor ceil() => Native.Own(tn_ceil(handle, out var result), result);

        /// <summary>Rounded to the nearest, halves to even.</summary>
        public Tensor round() => Native.Own(tn_round(handle, out var result), result);

        /// <summary>−1, 0 or 1.</summary>
        public Tensor sign() => Native.Own(tn_sign(handle, out var result), result);

        /// <summary>True where neither infinite nor NaN.</summary>
        public Tensor isfinite() => Native.Own(tn_isfinite(handle, out var result), result);

        /// <summary>True where NaN.</summary>
        public Tensor isnan() => Native.Own(tn_isnan(handle, out var result), result);

        /// <summary>True where infinite.</summary>
        public Tensor isinf() => Native.Own(tn_isinf(handle, out var result), result);

        /// <summary>True where zero or false.</summary>
        public Tensor logical_not() => Native.Own(tn_logical_not(handle, out var result), result);

        /// <summary>x · sigmoid(x).</summary>
        public Tensor silu() => Native.Own(tn_silu(handle, out var result), result);

        /// <summary>ln(1 + e^(beta·x)) / beta, a smooth max(x, 0); x itself where beta·x is above the threshold.</summary>
        public Tensor softplus(double beta = 1, double threshold = 20) => Native.Own(tn_softplus(handle, beta, threshold, out var result), result);
    }
}
