namespace Trainer.Models.FeedForward;

/// <summary>down(max(up(x), 0)²) (Primer: So et al. 2021, arXiv 2109.08668).</summary>
public sealed record SquaredReluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.SquaredRelu;
}
