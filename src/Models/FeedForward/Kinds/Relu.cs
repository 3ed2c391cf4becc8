namespace Trainer.Models.FeedForward;

/// <summary>down(max(up(x), 0)), as in the Transformer of 2017 (Vaswani et al., arXiv 1706.03762, §3.3).</summary>
public sealed record ReluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.Relu;
}
