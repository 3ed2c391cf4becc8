namespace Trainer.Transformers.Attention.Projections;

/// <summary>Every query head has keys and values of its own (Vaswani et al. 2017).</summary>
public sealed record MultiHeadOptions : HeadProjectionOptions
{
    internal override int Groups => Heads;
}
