using static TorchSharp.torch;

namespace Trainer.Transformers.Norms;

/// <summary>A norm of the residual stream. Computes in float32 whatever the input's type.</summary>
internal abstract class Norm(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>What a branch adds to the stream, and the norm of the sum, which the next branch reads.</summary>
    /// <param name="x">The stream, (B, T, C).</param>
    /// <param name="branch">What is added, (B, T, C).</param>
    /// <returns>The new stream and its norm, (B, T, C) each.</returns>
    public abstract (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch);
}
