using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Attention.Kernels;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>Keys and values of all heads are made from one short vector of each token, which is all that decoding remembers, and one key that
/// all heads share and positions turn (DeepSeek-AI 2024, arXiv 2405.04434, §2.1).</summary>
/// <remarks>A head's query and key have two parts: <see cref="HeadDim"/> numbers that carry no position and <see cref="RopeDim"/> that
/// do. The defaults are the paper's proportions: a rank of 4 heads and half a head turned.</remarks>
public sealed record LatentOptions : AttentionOptions
{
    /// <summary>Width of the part of a query or key that carries no position; null for dim / heads.</summary>
    [Description("Width of the part of a head's query and key that carries no position; by default dim / heads.")]
    [Range(1, 65536)]
    public int? HeadDim { get; init; }

    /// <summary>Width of the part of a query or key that positions turn, the key's shared by all heads; null for headDim / 2.</summary>
    [Description("Width of the part of a head's query and key that positions turn, one key for all heads; by default headDim / 2.")]
    [Range(1, 65536)]
    public int? RopeDim { get; init; }

    /// <summary>Width of a value head; null for headDim.</summary>
    [Description("Width of a value head; by default headDim.")]
    [Range(1, 65536)]
    public int? ValueDim { get; init; }

    /// <summary>Width of the vector that keys and values are made from, r; null for 4·headDim.</summary>
    [Description("Width of the vector that keys and values are made from and the cache holds; by default 4·headDim (DeepSeek-V3: 512).")]
    [Range(1, 1_048_576)]
    public int? KeyValueRank { get; init; }

    /// <summary>Width of the vector that queries are made from; null for queries straight from the stream.</summary>
    [Description("Width of the vector that queries are made from (DeepSeek-V3: 1536); by default queries are made from the stream itself.")]
    [Range(1, 1_048_576)]
    public int? QueryRank { get; init; }

    /// <summary>ε of the norms on the vectors that queries, keys and values are made from; null for that of the model's norms.</summary>
    [Description("Added to the variance in the norms on the vectors that queries, keys and values are made from (DeepSeek-V3: 1e-6); by default norm.epsilon.")]
    [Range(0.0, 1.0)]
    public double? NormEpsilon { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (QueryKeyNorm)
            yield return new("queryKeyNorm", "is true, but type 'latent' always has norms of its own, on the vectors that queries, keys and values are made from; set it to false");
        if (Kernel == AttentionKernel.Linear)
            yield return new("kernel", "'linear' remembers one sum of keys and values, so that there is nothing for type 'latent' to make smaller; use type 'multi-head', or another kernel");
    }

    /// <summary>Widths in a model of width <paramref name="dim"/>.</summary>
    internal LatentShape Shape(int dim)
    {
        int headDim = HeadDim ?? dim / Heads;
        // Rotary positions turn pairs.
        int turned = RopeDim ?? (headDim + 3) / 4 * 2;
        return new(Heads, headDim, turned, ValueDim ?? headDim, KeyValueRank ?? 4 * headDim);
    }

    internal override int HeadWidth(int dim) => Shape(dim).KernelWidth;

    internal override int TurnedWidth(int dim) => Shape(dim).TurnedDim;

    internal override double ScoreScale(int dim) => Scale ?? 1 / Math.Sqrt(Shape(dim).KeyDim);

    internal override IEnumerable<Problem> Against(int dim) => HeadDim is not null || dim % Heads == 0
        ? []
        : [new("heads", $"heads ({Heads}) must divide dim ({dim}); try {Divisors.Near(dim, Heads)}, or set headDim")];

    internal override Projection BuildProjection(ModelParts parts, NormBuilder? headNorm) => new LatentProjection(parts, this);

    /// <summary>Multi-head attention: keys and values of an encoder's output do not grow while decoding goes on, so that there is little to save.</summary>
    internal override AttentionOptions ToEncoder(int dim) => new MultiHeadOptions
    {
        Heads = Heads,
        HeadDim = Shape(dim).HeadDim,
        Pattern = Pattern,
        Kernel = Kernel,
        Scale = Scale,
        SoftCap = SoftCap,
        Bias = Bias,
        OutputBias = OutputBias,
    };

    internal override CrossProjection BuildCrossProjection(ModelParts parts, NormBuilder? headNorm) =>
        ToEncoder(parts.Dim).BuildCrossProjection(parts, headNorm);

    internal override CacheLayout CacheLayout(int dim) => Shape(dim).Layout;

    internal override PartCost CrossCost(ModelOptions model) => ToEncoder(model.Dim).CrossCost(model);

    internal override PartCost Cost(ModelOptions model)
    {
        LatentShape shape = Shape(model.Dim);
        bool bias = Bias ?? model.Bias;
        (long perHead, long perHeadAndKey) = KernelSelection.Expected(this, shape.KernelWidth, model.Position.AddsBias, model.Dropout > 0).Activations;
        PartCost keyValue = PartCost.Linear(model.Dim, shape.Remembered, bias) + new PartCost(shape.Rank, 0) + PartCost.Linear(shape.Rank, shape.ExpandedRows, false);
        PartCost output = PartCost.Linear(shape.OutputWidth, model.Dim, OutputBias ?? model.Bias);
        return QueryCost(model.Dim, shape.QueryRows, bias) + keyValue + output + new PartCost(0, 0)
        {
            // Queries and keys are multiplied, then weights and values.
            FlopsPerTokenAndKey = 2L * Heads * (shape.KeyDim + shape.ValueDim),
            // Queries turned, what is remembered before and after its norm, keys and values as they come and as the kernel takes them, its result.
            Activations = 2L * shape.QueryRows + 3L * shape.Remembered + shape.ExpandedRows + 3L * Heads * shape.KernelWidth + Heads * perHead,
            ActivationsPerKey = Heads * (perHeadAndKey > 0 && model.Dropout > 0 ? 3 : perHeadAndKey),
        };
    }

    private PartCost QueryCost(int dim, int rows, bool bias) => QueryRank is not { } rank
        ? PartCost.Linear(dim, rows, false)
        : PartCost.Linear(dim, rank, bias) + new PartCost(rank, 0) { Activations = 2L * rank + rows } + PartCost.Linear(rank, rows, false);
}
