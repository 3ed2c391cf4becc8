namespace Trainer.Models.FeedForward;

/// <summary>down(max(gate(x), 0) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202).</summary>
public sealed record ReGluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.ReGlu;
}
