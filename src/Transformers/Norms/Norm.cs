using TorchSharp;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers.Norms;

/// <summary>A norm of the residual stream. Computes in float32 whatever the input's type.</summary>
internal abstract class Norm(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>Whether those who read the norm round it, so that it may be written in bfloat16.</summary>
    public bool ReadRounded { get; init; }

    /// <summary>What a branch adds to the stream, and the norm of the sum, which the next branch reads.</summary>
    /// <param name="x">The stream, (B, T, C).</param>
    /// <param name="branch">What is added, (B, T, C).</param>
    /// <returns>The new stream and its norm, (B, T, C) each.</returns>
    public abstract (Tensor Sum, Tensor Norm) Add(Tensor x, Tensor branch);

    /// <summary>Writes the norm of a vector, or of heads in it.</summary>
    /// <param name="plan">Where to.</param>
    /// <param name="from">What is read.</param>
    /// <param name="to">What is written; may be the same.</param>
    /// <param name="heads">Which heads; null for the vector.</param>
    public abstract void Write(TokenPlan plan, TokenVector from, TokenVector to, TokenHeads? heads = null);

    /// <summary>Whether the norm of <paramref name="x"/> is written in bfloat16.</summary>
    protected bool Rounds(Tensor x) => ReadRounded && x.device_type == DeviceType.CPU;
}
