using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>What multi-head, multi-query and grouped-query attention share: they differ only in the number of key-value heads.</summary>
public abstract record HeadProjectionOptions : AttentionOptions
{
    /// <summary>Width of one head, D; null for dim / heads.</summary>
    [Description("Width of one head; by default dim / heads.")]
    [Range(1, 65536)]
    public int? HeadDim { get; init; }

    /// <summary>Number of key-value heads, G.</summary>
    internal abstract int Groups { get; }

    internal override int HeadWidth(int dim) => HeadDim ?? dim / Heads;

    internal override IEnumerable<Problem> Against(int dim) => HeadDim is not null || dim % Heads == 0
        ? []
        : [new("heads", $"heads ({Heads}) must divide dim ({dim}); try {Divisors.Near(dim, Heads)}, or set headDim")];

    internal override Projection BuildProjection(ModelParts parts, NormBuilder? headNorm) =>
        new GroupedQueryProjection(parts, Heads, Groups, HeadWidth(parts.Dim), Bias, headNorm);

    internal override CrossProjection BuildCrossProjection(ModelParts parts, NormBuilder? headNorm) =>
        new(parts, Heads, Groups, HeadWidth(parts.Dim), Bias, headNorm);

    internal override CacheLayout CacheLayout(int dim) => new(Groups, HeadWidth(dim), Groups, HeadWidth(dim));

    internal override PartCost Cost(ModelOptions model) => Cost(model, RotatedCopies(model, HeadWidth(model.Dim)), model.Position.AddsBias);

    internal override PartCost CrossCost(ModelOptions model) => Cost(model, rotated: 0, biased: false, own: false);

    private PartCost Cost(ModelOptions model, long rotated, bool biased, bool own = true)
    {
        int headDim = HeadWidth(model.Dim);
        long rows = (Heads + 2L * Groups) * headDim;
        long width = (long)Heads * headDim;
        PartCost linear = PartCost.Linear(model.Dim, rows, Bias ?? model.Bias) + PartCost.Linear(width, model.Dim, OutputBias ?? model.Bias);
        PartCost norms = QueryKeyNorm ? 2 * model.Norm.Cost(headDim, model.Bias) : default;
        (long perHead, long perHeadAndKey) = KernelSelection.Expected(this, headDim, biased, model.Dropout > 0).Activations;
        bool packed = own && !biased && perHeadAndKey == 0 && Packs(headDim, ScalarType.Float32), rounded = packed && Packs(headDim, ScalarType.BFloat16);
        return linear + new PartCost(norms.Parameters, 0)
        {
            // Queries and keys are multiplied, then weights and values: two products of 2·H·D operations per visible key.
            FlopsPerTokenAndKey = Kernel == AttentionKernel.Linear ? 0 : 4 * width,
            // Its sums are as many keys as a head is wide: added to, and read.
            FlopsPerToken = Kernel == AttentionKernel.Linear ? 4 * width * headDim : 0,
            Activations = (rounded ? 0 : rows + width) + (packed ? 0 : rotated) + Heads * perHead,
            RoundedActivations = rounded ? rows + width : 0,
            // Weights that are dropped, and what they are multiplied with, are kept too; the scores are gone by then.
            ActivationsPerKey = Heads * (perHeadAndKey > 0 && model.Dropout > 0 ? 3 : perHeadAndKey),
        };
    }

    // Whether a kernel reads what the projection makes in that type, on a processor like this one: then it is all that is kept.
    private bool Packs(int headDim, ScalarType type) =>
        !QueryKeyNorm && SoftCap is null && !ScalableSoftmax && Temperature is null && ResolvedPattern.Build().Band is not null && FlashAttention.IsSupported(headDim, type);

    // Turning and normalising each make new queries and keys, which the backward pass needs.
    private long RotatedCopies(ModelOptions model, int headDim) =>
        (Heads + Groups) * (long)headDim * ((model.Position.RotatesHeads ? 2 : 0) + (QueryKeyNorm ? 1 : 0));
}
