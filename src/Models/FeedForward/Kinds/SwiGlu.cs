namespace Trainer.Models.FeedForward;

/// <summary>down(SiLU(gate(x)) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202), as in Llama.</summary>
public sealed record SwiGluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.SwiGlu;
}
