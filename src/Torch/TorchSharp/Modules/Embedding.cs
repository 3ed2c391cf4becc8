using static TorchSharp.torch;

namespace TorchSharp.Modules
{
    /// <summary>A table of vectors: indices of any shape → (…, features).</summary>
    public sealed class Embedding : nn.Module<Tensor, Tensor>
    {
        private readonly long? paddingIndex;

        internal Embedding(long entries, long features, long? paddingIndex, Device? device, ScalarType? dtype) : base(nameof(Embedding))
        {
            this.paddingIndex = paddingIndex;
            weight = nn.Parameter(randn(entries, features, dtype, device));
            register_parameter(nameof(weight), weight);
        }

        /// <summary>(entries, features)</summary>
        public Parameter weight { get; }

        /// <inheritdoc/>
        public override Tensor forward(Tensor input) => nn.functional.embedding(input, weight, paddingIndex);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A table of vectors, standard normal at the start.</summary>
            public static Modules.Embedding Embedding(long num_embeddings, long embedding_dims, long? padding_idx = null, Device? device = null, ScalarType? dtype = null) =>
                new(num_embeddings, embedding_dims, padding_idx, device, dtype);
        }
    }
}
