// Shapes: B batch, T positions, C model dimension.
using static TorchSharp.torch;

namespace Trainer.Transformers.FeedForward;

/// <summary>The part of a block that treats each position by itself.</summary>
internal abstract class FeedForwardModule(string name) : nn.Module(name)
{
    /// <summary>Computes the layer.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="pass">Takes what the layer wants added to the objective.</param>
    /// <returns>(B, T, C)</returns>
    public abstract Tensor Run(Tensor x, ForwardPass pass);
}
