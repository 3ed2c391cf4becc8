namespace Trainer.Models.FeedForward;

/// <summary>down(GELU(gate(x)) ⊙ up(x)), GELU approximated by tanh, as in T5 v1.1 and Gemma.</summary>
public sealed record GeGluTanhOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.GeGluTanh;
}
