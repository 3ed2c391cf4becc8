// Shapes: B batch, T positions, C model dimension.
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward;

/// <summary>The part of a block that treats each position by itself.</summary>
internal abstract class FeedForwardModule(string name) : nn.Module(name)
{
    /// <summary>Computes the layer.</summary>
    /// <param name="x">(B, T, C)</param>
    /// <param name="pass">Takes what the layer wants added to the objective.</param>
    /// <returns>(B, T, C)</returns>
    public abstract Tensor Run(Tensor x, ForwardPass pass);

    /// <summary>Two matrices around an activation, three where it is gated.</summary>
    /// <param name="parts">What the parts of the model share.</param>
    /// <param name="activation">The function between the matrices.</param>
    /// <param name="width">Width of the hidden layer, F.</param>
    /// <param name="bias">Whether there are biases; null for the model's choice.</param>
    public static FeedForwardModule Of(ModelParts parts, Activation activation, int width, bool? bias) =>
        activation.Gated ? new GatedFeedForward(parts, activation, width, bias) : new PlainFeedForward(parts, activation, width, bias);
}
