// Shapes: B batch, T positions, C model dimension, F hidden dimension.
using Trainer.Torch;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.FeedForward;

/// <summary>down(SiLU(gate(x)) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202). Hidden width 8/3·dim, which makes its three matrices
/// as large as the two of a plain layer, rounded up to a multiple of 32.</summary>
public sealed record SwiGluOptions : FeedForwardOptions
{
    private const int Multiple = 32;

    internal override int DefaultWidth(int dim) => (int)((8L * dim + 3 * Multiple - 1) / (3 * Multiple) * Multiple);

    internal override PartCost Cost(ModelOptions model)
    {
        int width = Width(model.Dim);
        PartCost linear = PartCost.Linear(model.Dim, 2L * width, model.Bias) + PartCost.Linear(width, model.Dim, model.Bias);
        return linear with { Activations = 3L * width };
    }

    internal override FeedForwardModule Build(ModelParts parts) => new SwiGluFeedForward(parts, Width(parts.Dim));
}

/// <remarks>Gate and up are one matrix with the rows [F gate | F up].</remarks>
internal sealed class SwiGluFeedForward : FeedForwardModule
{
    private readonly CastLinear gateUp;
    private readonly CastLinear down;

    public SwiGluFeedForward(ModelParts parts, int width)
        : base(nameof(SwiGluFeedForward))
    {
        gateUp = parts.Linear(parts.Dim, 2 * width);
        down = parts.ResidualLinear(width, parts.Dim);
        RegisterComponents();
    }

    public override Tensor Run(Tensor x, ForwardPass pass) => down.forward(FusedKernels.SwiGlu(gateUp.forward(x))); // (B, T, C) → (B, T, 2F) → (B, T, F) → (B, T, C)
}
