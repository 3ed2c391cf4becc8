namespace Trainer.Models.FeedForward;

/// <summary>down(GELU(gate(x)) ⊙ up(x)), the exact GELU with erf (Shazeer 2020, arXiv 2002.05202).</summary>
public sealed record GeGluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.GeGlu;
}
