using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Attention.Kernels;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>What multi-head, multi-query and grouped-query attention share: they differ only in the number of key-value heads.</summary>
public abstract record HeadProjectionOptions : AttentionOptions
{
    /// <summary>Number of key-value heads, G.</summary>
    internal abstract int Groups { get; }

    internal override Projection BuildProjection(ModelParts parts, NormBuilder? headNorm) =>
        new GroupedQueryProjection(parts, Heads, Groups, HeadDim(parts.Dim), headNorm);

    internal override CacheLayout CacheLayout(int dim) => new(Groups, HeadDim(dim), Groups, HeadDim(dim));

    internal override PartCost Cost(ModelOptions model)
    {
        int headDim = HeadDim(model.Dim);
        long rows = (Heads + 2L * Groups) * headDim;
        long width = (long)Heads * headDim;
        PartCost linear = PartCost.Linear(model.Dim, rows, model.Bias) + PartCost.Linear(width, model.Dim, model.Bias);
        PartCost norms = QueryKeyNorm ? 2 * model.Norm.Cost(headDim, model.Bias) : default;
        (long perHead, long perHeadAndKey) = KernelSelection.Expected(this, headDim).Activations;
        return linear + new PartCost(norms.Parameters, 0)
        {
            // Queries and keys are multiplied, then weights and values: two products of 2·H·D operations per visible key.
            FlopsPerTokenAndKey = 4 * width,
            Activations = rows + width + RotatedCopies(model, headDim) + Heads * perHead,
            ActivationsPerKey = Heads * perHeadAndKey,
        };
    }

    // Turning and normalising each make new queries and keys, which the backward pass needs.
    private long RotatedCopies(ModelOptions model, int headDim) =>
        (Heads + Groups) * (long)headDim * ((model.Position.RotatesHeads ? 2 : 0) + (QueryKeyNorm ? 1 : 0));
}
