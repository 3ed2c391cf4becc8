using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>x·Wᵀ + b: (…, in) → (…, out).</summary>
    public sealed class Linear : nn.Module<Tensor, Tensor>
    {
        internal Linear(long inputSize, long outputSize, bool hasBias, Device? device, ScalarType? dtype) : base(nameof(Linear))
        {
            var bound = 1 / Math.Sqrt(inputSize);
            weight = nn.Parameter(empty(outputSize, inputSize, dtype, device));
            nn.init.uniform_(weight, -bound, bound);
            if (!hasBias) return;
            bias = nn.Parameter(empty(outputSize, dtype, device));
            nn.init.uniform_(bias, -bound, bound);
        }

        /// <summary>(out, in)</summary>
        public Parameter weight
        {
            get;
            set
            {
                field = value;
                ReplaceParameter(nameof(weight), value);
            }
        }

        /// <summary>(out), or none</summary>
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
        public override Tensor forward(Tensor input) => nn.functional.linear(input, weight, bias);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A linear layer, uniform in ±1/√inputSize at the start.</summary>
            public static Modules.Linear Linear(long inputSize, long outputSize, bool hasBias = true, Device? device = null, ScalarType? dtype = null) =>
                new(inputSize, outputSize, hasBias, device, dtype);
        }
    }
}
