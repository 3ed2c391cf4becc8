// Shapes: B batch, T positions, C model dimension, F hidden dimension.
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward;

/// <summary>down(f(up(x))).</summary>
internal sealed class PlainFeedForward : FeedForwardModule
{
    private readonly CastLinear up;
    private readonly CastLinear down;
    private readonly Activation activation;

    public PlainFeedForward(ModelParts parts, Activation activation, int width, bool? bias)
        : base(nameof(PlainFeedForward))
    {
        this.activation = activation;
        up = parts.Linear(parts.Dim, width, bias);
        down = parts.ResidualLinear(width, parts.Dim, bias);
        RegisterComponents();
    }

    public override Tensor Run(Tensor x, ForwardPass pass) => activation.Between(up, down, x); // (B, T, C) → (B, T, F) → (B, T, C)
}
