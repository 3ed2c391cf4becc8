namespace Trainer.Transformers.Attention.Projections;

/// <summary>All query heads share one head of keys and values (Shazeer 2019, arXiv 1911.02150).</summary>
public sealed record MultiQueryOptions : HeadProjectionOptions
{
    internal override int Groups => 1;
}
