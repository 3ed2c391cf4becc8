using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Models.Norms;

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

    /// <summary>Whether the norm of <paramref name="x"/> is written in bfloat16.</summary>
    protected bool Rounds(Tensor x) => ReadRounded && x.device_type == DeviceType.CPU;
}
