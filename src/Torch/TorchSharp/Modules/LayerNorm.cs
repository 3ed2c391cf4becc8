using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>Mean 0 and variance 1 over the last dimensions, then scaled and shifted (Ba et al. 2016).</summary>
    public sealed class LayerNorm : nn.Module<Tensor, Tensor>
    {
        private readonly long[] shape;
        private readonly double eps;

        internal LayerNorm(long[] shape, double eps, bool affine, bool hasBias, Device? device, ScalarType? dtype) : base(nameof(LayerNorm))
        {
            (this.shape, this.eps) = (shape, eps);
            if (!affine) return;
            weight = nn.Parameter(ones(shape, dtype, device));
            if (!hasBias) return;
            bias = nn.Parameter(zeros(shape, dtype, device));
        }

        /// <summary>The scale, or none.</summary>
        public Parameter? weight
        {
            get;
            set
            {
                field = value;
                ReplaceParameter(nameof(weight), value);
            }
        }

        /// <summary>The shift, or none.</summary>
        public Parameter? bias
        {
            get;
            set
            {
                field = value;
                ReplaceParameter(nameof(bias), value);
            }
        }

        /// <inheritdoc/>
        public override Tensor forward(Tensor input) => nn.functional.layer_norm(input, shape, weight, bias, eps);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A layer norm over the last dimension.</summary>
            public static Modules.LayerNorm LayerNorm(long normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null) =>
                new([normalized_shape], eps, elementwise_affine, bias, device, dtype);

            /// <summary>A layer norm over the last dimensions.</summary>
            public static Modules.LayerNorm LayerNorm(long[] normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true, Device? device = null, ScalarType? dtype = null) =>
                new(normalized_shape, eps, elementwise_affine, bias, device, dtype);
        }
    }
}
