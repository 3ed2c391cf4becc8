// Shapes: B batch, T positions, S positions of the source, H query heads, G key-value heads, D head dimension, C model dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

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

    internal override PartCost CrossCost(ModelOptions model) => Cost(model);

    internal override PartCost Cost(ModelOptions model)
    {
        int headDim = HeadWidth(model.Dim);
        long rows = (Heads + 2L * Groups) * headDim;
        long width = (long)Heads * headDim;
        PartCost linear = PartCost.Linear(model.Dim, rows, Bias ?? model.Bias) + PartCost.Linear(width, model.Dim, OutputBias ?? model.Bias);
        PartCost norms = QueryKeyNorm ? 2 * model.Norm.Cost(headDim, model.Bias) : default;
        return linear + new PartCost(norms.Parameters, 0)
        {
            // Queries and keys are multiplied, then weights and values: two products of 2·H·D operations per visible key.
            FlopsPerTokenAndKey = Kernel == AttentionKernel.Linear ? 0 : 4 * width,
            // Its sums are as many keys as a head is wide: added to, and read.
            FlopsPerToken = Kernel == AttentionKernel.Linear ? 4 * width * headDim : 0,
        };
    }

}

/// <summary>Every query head has keys and values of its own (Vaswani et al. 2017).</summary>
public sealed record MultiHeadOptions : HeadProjectionOptions
{
    internal override int Groups => Heads;
}

/// <summary>All query heads share one head of keys and values (Shazeer 2019, arXiv 1911.02150).</summary>
public sealed record MultiQueryOptions : HeadProjectionOptions
{
    internal override int Groups => 1;
}

/// <summary>Consecutive query heads share a head of keys and values (Ainslie et al. 2023, arXiv 2305.13245).</summary>
public sealed record GroupedQueryOptions : HeadProjectionOptions
{
    /// <summary>Number of key-value heads, G; divides the number of query heads.</summary>
    [Description("Number of key-value heads; it must divide heads.")]
    [Range(1, 4096)]
    public required int KeyValueHeads { get; init; }

    internal override int Groups => KeyValueHeads;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Heads < 1 || KeyValueHeads < 1 || Heads % KeyValueHeads == 0) return [];
        return
        [
            new("keyValueHeads",
                $"heads ({Heads}) must be a multiple of keyValueHeads ({KeyValueHeads}); try {Divisors.Near(Heads, KeyValueHeads)}"),
        ];
    }
}

/// <summary>Grouped-query attention (Ainslie et al. 2023); multi-head (G = H) and multi-query (G = 1) are its ends.</summary>
/// <remarks>One matrix makes everything: the rows of <c>qkv.weight</c> are [H·D query | G·D key | G·D value], heads in order, so
/// that a conversion takes each apart by rows. Query head h reads key-value head ⌊h·G/H⌋.</remarks>
internal sealed class GroupedQueryProjection : Projection
{
    private readonly CastLinear qkv;
    private readonly nn.Module<Tensor, Tensor>? queryNorm;
    private readonly nn.Module<Tensor, Tensor>? keyNorm;
    private readonly int heads;
    private readonly int groups;
    private readonly int headDim;

    public GroupedQueryProjection(ModelParts parts, int heads, int groups, int headDim, bool? bias, NormBuilder? headNorm)
        : base(nameof(GroupedQueryProjection))
    {
        (this.heads, this.groups, this.headDim) = (heads, groups, headDim);
        qkv = parts.Linear(parts.Dim, (heads + 2 * groups) * headDim, bias);
        queryNorm = headNorm?.Invoke(headDim);
        keyNorm = headNorm?.Invoke(headDim);
        RegisterComponents();
    }

    public override int OutputWidth => heads * headDim;

    public override int KeyHeads => groups;

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        // One split, not three slices: the backward pass of a split writes the gradient once.
        Tensor all = qkv.forward(x).view(x.shape[0], x.shape[1], heads + 2 * groups, headDim); // (B, T, H+2G, D)
        Tensor[] parts = queryNorm is null ? Rotated(all, context) : NormedAndRotated(all, context);
        return (parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2)); // (B, H|G|G, T, D)
    }

    public override Tensor? Pack(Tensor x, bool rounds)
    {
        if (queryNorm is not null) return null;
        Tensor all = rounds && qkv.Rounds(x) ? qkv.Coarse(x) : qkv.forward(x);
        return all.view(x.shape[0], x.shape[1], heads + 2 * groups, headDim);
    }

    private Tensor[] Rotated(Tensor all, MixerContext context)
    {
        if (!context.Position.RotatesHeads) return all.split([heads, groups, groups], 2);
        // Queries and keys lie side by side, so that they are rotated as one tensor.
        Tensor[] parts = all.split([heads + groups, groups], 2);
        Tensor[] rotated = context.Position.Rotate(parts[0], context.Pass).split([heads, groups], 2);
        return [rotated[0], rotated[1], parts[1]];
    }

    private Tensor[] NormedAndRotated(Tensor all, MixerContext context)
    {
        Tensor[] parts = all.split([heads, groups, groups], 2);
        Tensor query = context.Position.Rotate(queryNorm!.call(parts[0]), context.Pass);
        Tensor key = context.Position.Rotate(keyNorm!.call(parts[1]), context.Pass);
        return [query, key, parts[2]];
    }
}

/// <summary>Queries from a decoder's stream, keys and values from an encoder's output; G = H is multi-head, G = 1 multi-query.</summary>
/// <remarks>The rows of <c>keyValue.weight</c> are [G·D key | G·D value], heads in order.</remarks>
internal sealed class CrossProjection : Projection
{
    private readonly CastLinear query;
    private readonly CastLinear keyValue;
    private readonly nn.Module<Tensor, Tensor>? queryNorm;
    private readonly nn.Module<Tensor, Tensor>? keyNorm;
    private readonly int heads;
    private readonly int groups;
    private readonly int headDim;

    public CrossProjection(ModelParts parts, int heads, int groups, int headDim, bool? bias, NormBuilder? headNorm)
        : base(nameof(CrossProjection))
    {
        (this.heads, this.groups, this.headDim) = (heads, groups, headDim);
        query = parts.Linear(parts.Dim, heads * headDim, bias);
        keyValue = parts.Linear(parts.Dim, 2 * groups * headDim, bias);
        queryNorm = headNorm?.Invoke(headDim);
        keyNorm = headNorm?.Invoke(headDim);
        RegisterComponents();
    }

    public override int OutputWidth => heads * headDim;

    public override int KeyHeads => groups;

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        (Tensor key, Tensor value) = context.State is CrossState made ? (made.Key, made.Value) : KeyValue(context.Pass.Memory!.Hidden); // (B, G, S, D)
        Tensor all = query.forward(x).view(x.size(0), x.size(1), heads, headDim); // (B, T, C) → (B, T, H, D)
        return (Normed(all, queryNorm).transpose(1, 2), key, value);
    }

    /// <summary>(B, S, C) → (B, G, S, D) each</summary>
    public (Tensor Key, Tensor Value) KeyValue(Tensor memory)
    {
        Tensor[] parts = keyValue.forward(memory).view(memory.size(0), memory.size(1), 2 * groups, headDim).split([groups, groups], 2);
        return (Normed(parts[0], keyNorm).transpose(1, 2), parts[1].transpose(1, 2));
    }

    private static Tensor Normed(Tensor heads, nn.Module<Tensor, Tensor>? norm) => norm is null ? heads : norm.call(heads);
}
