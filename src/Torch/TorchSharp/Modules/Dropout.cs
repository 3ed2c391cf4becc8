using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>In training, zeros elements at random and scales the others up (Srivastava et al. 2014).</summary>
    public sealed class Dropout : nn.Module<Tensor, Tensor>
    {
        private readonly double probability;

        internal Dropout(double probability) : base(nameof(Dropout)) => this.probability = probability;

        /// <inheritdoc/>
        public override Tensor forward(Tensor input) => nn.functional.dropout(input, probability, training);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A dropout layer.</summary>
            public static Modules.Dropout Dropout(double p = 0.5) => new(p);
        }
    }
}
