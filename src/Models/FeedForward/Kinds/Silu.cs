namespace Trainer.Models.FeedForward;

/// <summary>down(SiLU(up(x))), SiLU(x) = x·sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118).</summary>
public sealed record SiluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.Silu;
}
