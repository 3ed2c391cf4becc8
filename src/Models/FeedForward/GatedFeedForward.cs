// Shapes: B batch, T positions, C model dimension, F hidden dimension.
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward;

/// <summary>down(f(gate(x)) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202).</summary>
/// <remarks>Gate and up are one matrix with the rows [F gate | F up].</remarks>
internal sealed class GatedFeedForward : FeedForwardModule
{
    private readonly CastLinear gateUp;
    private readonly CastLinear down;
    private readonly Activation activation;

    public GatedFeedForward(ModelParts parts, Activation activation, int width, bool? bias)
        : base(nameof(GatedFeedForward))
    {
        this.activation = activation;
        gateUp = parts.Linear(parts.Dim, 2 * width, bias);
        down = parts.ResidualLinear(width, parts.Dim, bias);
        RegisterComponents();
    }

    public override Tensor Run(Tensor x, ForwardPass pass) => activation.Between(gateUp, down, x); // (B, T, C) → (B, T, 2F) → (B, T, F) → (B, T, C)
}
