using Trainer.Torch;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>Neural networks.</summary>
    public static partial class nn
    {
        /// <summary>How a loss over many elements becomes one number.</summary>
        public enum Reduction : long
        {
            /// <summary>It does not: one value each.</summary>
            None = 0,
            /// <summary>The mean.</summary>
            Mean = 1,
            /// <summary>The sum.</summary>
            Sum = 2,
        }

        /// <summary>Layers without state.</summary>
        public static class functional
        {
            /// <summary>input · weightᵀ + bias.</summary>
            /// <param name="input">(…, in)</param>
            /// <param name="weights">(out, in)</param>
            /// <param name="bias">(out), or none</param>
            public static Tensor linear(Tensor input, Tensor weights, Tensor? bias = null) =>
                Native.Own(tn_linear(input.handle, weights.handle, HandleOf(bias), out var result), result);

            /// <summary>Each output channel is a sliding product with the input channels of its group.</summary>
            /// <param name="input">(N, in, T)</param>
            /// <param name="weight">(out, in / groups, K)</param>
            /// <param name="bias">(out), or none</param>
            /// <param name="stride">Positions from one product to the next; 1 by default.</param>
            /// <param name="padding">Zeros put before and after; none by default.</param>
            /// <param name="dilation">Positions between the elements of the kernel; 1 by default.</param>
            /// <param name="groups">Groups of channels that do not mix.</param>
            public static Tensor conv1d(Tensor input, Tensor weight, Tensor? bias = null, long? stride = null, long? padding = null, long? dilation = null, long groups = 1) =>
                Native.Own(tn_conv1d(input.handle, weight.handle, HandleOf(bias), stride ?? 1, padding ?? 0, dilation ?? 1, groups, out var result), result);

            /// <summary>Mean 0 and variance 1 over the last dimensions, then scaled and shifted.</summary>
            public static unsafe Tensor layer_norm(Tensor input, long[] normalized_shape, Tensor? weight = null, Tensor? bias = null, double eps = 1e-05)
            {
                fixed (long* shape = normalized_shape)
                    return Native.Own(tn_layer_norm(input.handle, shape, normalized_shape.Length, HandleOf(weight), HandleOf(bias), eps, out var result), result);
            }

            /// <summary>In training each element is zero with probability p, the others grow by 1 / (1 − p).</summary>
            public static Tensor dropout(Tensor input, double p = 0.5, bool training = true, bool inplace = false)
            {
                if (!inplace) return Native.Own(tn_dropout(input.handle, p, training ? 1 : 0, out var result), result);
                Native.Check(tn_dropout_(input.handle, p, training ? 1 : 0));
                return input.alias();
            }

            /// <summary>x · Φ(x), exact.</summary>
            public static Tensor gelu(Tensor x, bool inplace = false)
            {
                if (!inplace) return Native.Own(tn_gelu(x.handle, 0, out var result), result);
                Native.Check(tn_gelu_(x.handle));
                return x.alias();
            }

            /// <summary>max(x, 0).</summary>
            public static Tensor relu(Tensor x, bool inplace = false)
            {
                if (!inplace) return x.relu();
                Native.Check(tn_relu_(x.handle));
                return x.alias();
            }

            /// <summary>x · sigmoid(x).</summary>
            public static Tensor silu(Tensor x, bool inplace = false)
            {
                if (!inplace) return x.silu();
                Native.Check(tn_silu_(x.handle));
                return x.alias();
            }

            /// <summary>ln(1 + e^(beta·x)) / beta, a smooth max(x, 0); x itself where beta·x is above the threshold.</summary>
            public static Tensor softplus(Tensor x, double beta = 1.0, double threshold = 20.0) => x.softplus(beta, threshold);

            /// <summary>eˣ / Σ eˣ along a dimension.</summary>
            public static Tensor softmax(Tensor input, long dim, ScalarType? dtype = null) => input.softmax(dim, dtype);

            /// <summary>ln softmax along a dimension.</summary>
            public static Tensor log_softmax(Tensor input, long dim, ScalarType? dtype = null) => input.log_softmax(dim, dtype);

            /// <summary>−ln of the softmax probability of each target.</summary>
            /// <param name="input">Logits (N, classes), or (N, classes, …).</param>
            /// <param name="target">Class indices (N) or (N, …).</param>
            /// <param name="weight">A weight for each class, or none.</param>
            /// <param name="ignore_index">Targets that do not count.</param>
            /// <param name="reduction">One value each, their mean, or their sum.</param>
            /// <param name="label_smoothing">The share of probability spread over all classes.</param>
            public static Tensor cross_entropy(Tensor input, Tensor target, Tensor? weight = null, long ignore_index = -100,
                Reduction reduction = Reduction.Mean, double label_smoothing = 0.0) =>
                Native.Own(tn_cross_entropy(input.handle, target.handle, HandleOf(weight), (long)reduction, ignore_index, label_smoothing, out var result), result);

            /// <summary>Minus the log-probability of each target.</summary>
            public static Tensor nll_loss(Tensor input, Tensor target, Tensor? weight = null, Reduction reduction = Reduction.Mean, long ignore_index = -100) =>
                Native.Own(tn_nll_loss(input.handle, target.handle, HandleOf(weight), (long)reduction, ignore_index, out var result), result);

            /// <summary>Indices as rows of zeros with a single one.</summary>
            public static Tensor one_hot(Tensor x, long num_classes = -1) =>
                Native.Own(tn_one_hot(x.handle, num_classes, out var result), result);

            /// <summary>softmax(q·kᵀ/√D + mask)·v, by whichever kernel libtorch finds best.</summary>
            /// <param name="query">(B, H, T, D)</param>
            /// <param name="key">(B, H, S, D)</param>
            /// <param name="value">(B, H, S, D)</param>
            /// <param name="attn_mask">Truth values (true: may see) or a bias, broadcast to (B, H, T, S).</param>
            /// <param name="p">Dropout of the weights.</param>
            /// <param name="is_casual">Whether a position sees only itself and earlier ones (TorchSharp's spelling).</param>
            /// <remarks>With scale, grouped heads or a required backend: <see cref="ScaledDotProductAttention.Attend"/>.</remarks>
            public static Tensor scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double p = 0.0, bool is_casual = false) =>
                ScaledDotProductAttention.Attend(query, key, value, attn_mask, p, is_casual);

            private static TensorHandle HandleOf(Tensor? tensor) => tensor?.handle ?? TensorHandle.Null;
        }
    }
}
