// Shapes: B batch, T positions, C model dimension, F hidden dimension.
using Trainer.Torch;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.FeedForward;

/// <summary>Two matrices around a GELU, the exact one with erf (Hendrycks and Gimpel 2016, arXiv 1606.08415). Hidden width 4·dim.</summary>
public sealed record GeluOptions : FeedForwardOptions
{
    internal override int DefaultWidth(int dim) => 4 * dim;

    internal override PartCost Cost(ModelOptions model)
    {
        int width = Width(model.Dim);
        PartCost linear = PartCost.Linear(model.Dim, width, model.Bias) + PartCost.Linear(width, model.Dim, model.Bias);
        return linear with { Activations = 2 * width };
    }

    internal override FeedForwardModule Build(ModelParts parts) => new GeluFeedForward(parts, Width(parts.Dim));
}

internal sealed class GeluFeedForward : FeedForwardModule
{
    private readonly CastLinear up;
    private readonly CastLinear down;

    public GeluFeedForward(ModelParts parts, int width)
        : base(nameof(GeluFeedForward))
    {
        up = parts.Linear(parts.Dim, width);
        down = parts.ResidualLinear(width, parts.Dim);
        RegisterComponents();
    }

    public override Tensor Run(Tensor x, ForwardPass pass) => down.forward(FusedKernels.Gelu(up.forward(x))); // (B, T, C) → (B, T, F) → (B, T, C)
}
