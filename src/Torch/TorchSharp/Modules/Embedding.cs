using Trainer.Torch;
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
            if (paddingIndex is not { } padding) return;
            using var unrecorded = no_grad();
            using var row = weight.select(0, padding);
            row.zero_();
        }

        /// <summary>(entries, features)</summary>
        public Parameter weight
        {
            get;
            set
            {
                field = value;
                ReplaceParameter(nameof(weight), value);
            }
        }

        /// <inheritdoc/>
        public override Tensor forward(Tensor input) => Functional.Embedding(input, weight, paddingIndex);
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            /// <summary>A table of vectors, standard normal at the start; the padding entry is zero and gets no gradient.</summary>
            public static Modules.Embedding Embedding(long num_embeddings, long embedding_dims, long? padding_idx = null, Device? device = null, ScalarType? dtype = null) =>
                new(num_embeddings, embedding_dims, padding_idx, device, dtype);
        }
    }
}
