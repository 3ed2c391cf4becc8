namespace Trainer.Models.FeedForward;

/// <summary>down(sigmoid(gate(x)) ⊙ up(x)) (Dauphin et al. 2016, arXiv 1612.08083).</summary>
public sealed record GluOptions : DenseOptions
{
    internal override ActivationKind Kind => ActivationKind.Glu;
}
