// Shapes: B batch, T positions, S positions of the source, H query heads, G key-value heads, D head dimension, C model dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>Multi-head, multi-query and grouped-query attention, which differ only in the number of key-value heads.</summary>
public abstract record HeadProjectionOptions : AttentionOptions
{
    /// <summary>Width of one head, D; null for dim / heads.</summary>
    [Description("Width of one head; by default dim / heads.")]
    [Range(1, 65536)]
    public int? HeadDim { get; init; }

    /// <summary>Whether a table of tokens is added to the values of self-attention (<see cref="Attention.ValueEmbedding"/>).</summary>
    [Description("Whether a table of tokens, learned for the layer, is added to the values in attention of a sequence to itself " +
        "(modded-nanogpt).")]
    public bool ValueEmbedding { get; init; }

    internal abstract int Groups { get; } // G

    internal override int HeadWidth(int dim) => HeadDim ?? dim / Heads;

    internal override IEnumerable<Problem> Against(int dim) => HeadDim is not null || dim % Heads == 0
        ? []
        : [new("heads", $"heads ({Heads}) must divide dim ({dim}); try {Divisors.Near(dim, Heads)}, or set headDim")];

    internal override Projection BuildProjection(StackContext stack, NormBuilder? headNorm) =>
        new GroupedQueryProjection(stack, Heads, Groups, HeadWidth(stack.Dim), Bias, headNorm, ValueEmbedding);

    internal override HeadProjectionOptions ToEncoder(int dim) => this;

    internal CrossProjection BuildCrossProjection(StackContext stack, NormBuilder? headNorm) =>
        new(stack, Heads, Groups, HeadWidth(stack.Dim), Bias, headNorm);

    internal override CacheLayout CacheLayout(int dim) => new(Groups, HeadWidth(dim), Groups, HeadWidth(dim));

    internal override PartCost Cost(ModelOptions model) => ValueEmbedding
        ? CrossCost(model)
            + new PartCost(Attention.ValueEmbedding.Parameters(model.VocabularySize!.Value, (long)Groups * HeadWidth(model.Dim)), 0)
        : CrossCost(model);

    internal PartCost CrossCost(ModelOptions model)
    {
        int headDim = HeadWidth(model.Dim);
        long rows = (Heads + 2L * Groups) * headDim;
        long width = (long)Heads * headDim;
        PartCost linear = PartCost.Linear(model.Dim, rows, Bias ?? model.Bias)
            + PartCost.Linear(width, model.Dim, OutputBias ?? model.Bias);
        PartCost norms = QueryKeyNorm ? 2 * model.Norm.Cost(headDim, model.Bias) : default;
        return linear + new PartCost(norms.Parameters, 0)
        {
            // Queries and keys are multiplied, then weights and values: two products of 2·H·D operations per visible key.
            FlopsPerTokenAndKey = Kernel == AttentionKernel.Linear ? 0 : 4 * width,
            // Its sums are as many keys as a head is wide, added to and read.
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
/// <remarks><c>qkv.weight</c> has the rows [H·D query | G·D key | G·D value]. Query head h reads key-value head ⌊h·G/H⌋.</remarks>
internal sealed class GroupedQueryProjection : Projection, IFusesMatrices
{
    private readonly MixedLinear qkv;
    private readonly nn.Module<Tensor, Tensor>? queryNorm;
    private readonly nn.Module<Tensor, Tensor>? keyNorm;
    private readonly ValueEmbedding? valueEmbedding;
    private readonly int heads;
    private readonly int groups;
    private readonly int headDim;
    private readonly int valueHeads;

    public GroupedQueryProjection(
        StackContext stack, int heads, int groups, int headDim, bool? bias, NormBuilder? headNorm, bool embedsValues = false,
        int? valueHeads = null)
        : base(nameof(GroupedQueryProjection))
    {
        (this.heads, this.groups, this.headDim, this.valueHeads) = (heads, groups, headDim, valueHeads ?? groups);
        qkv = stack.Linear(stack.Dim, (heads + 2 * groups) * headDim, bias);
        queryNorm = headNorm?.Invoke(headDim);
        keyNorm = headNorm?.Invoke(headDim);
        valueEmbedding = embedsValues ? new(stack.VocabularySize, groups * headDim, stack.Dim) : null;
        RegisterComponents();
    }

    public override int OutputWidth => heads * headDim;

    public override int KeyHeads => groups;

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices =>
    [
        ($"{nameof(qkv)}.weight",
            [
                new((long)heads * headDim, heads) { Name = "query" },
                new((long)groups * headDim, groups) { Name = "key" },
                new((long)groups * headDim, valueHeads) { Name = "value" },
            ]),
    ];

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        // Project: one split, not three slices, as the backward pass of a split writes the gradient once.
        Tensor all = Heads(qkv.Forward(x, context.Attention)); // (B, T, H + 2·G, D)
        Tensor[] parts = queryNorm is null ? Rotated(all, context) : NormedAndRotated(all, context); // (B, T, H|G|G, D)
        Tensor value = valueEmbedding is null ? parts[2] : valueEmbedding.AddTo(parts[2], context.Attention.Tokens!); // (B, T, G, D)
        return (parts[0].transpose(1, 2), parts[1].transpose(1, 2), value.transpose(1, 2)); // (B, H|G|G, T, D)
    }

    public override bool CanFuse => queryNorm is null && valueEmbedding is null;

    public override Tensor ProjectFused(Tensor x, bool rounded, AttentionContext context) =>
        Heads(rounded && qkv.Rounds(x) ? qkv.ForwardRounded(x, context) : qkv.Forward(x, context));

    private Tensor Heads(Tensor rows) => rows.view(rows.shape[0], rows.shape[1], heads + 2 * groups, headDim);

    // Queries and keys lie side by side, so that they are rotated as one tensor.
    private Tensor[] Rotated(Tensor all, MixerContext context)
    {
        if (!context.Position.RotatesHeads) return all.split([heads, groups, groups], 2);
        Tensor[] parts = all.split([heads + groups, groups], 2);
        Tensor[] rotated = context.Position.Rotate(parts[0], context.Attention).split([heads, groups], 2);
        return [rotated[0], rotated[1], parts[1]];
    }

    private Tensor[] NormedAndRotated(Tensor all, MixerContext context)
    {
        Tensor[] parts = all.split([heads, groups, groups], 2);
        Tensor query = context.Position.Rotate(queryNorm!.call(parts[0]), context.Attention);
        Tensor key = context.Position.Rotate(keyNorm!.call(parts[1]), context.Attention);
        return [query, key, parts[2]];
    }
}

/// <summary>Cross-attention; the rows of <c>keyValue.weight</c> are [G·D key | G·D value], heads in order.</summary>
internal sealed class CrossProjection : Projection, IFusesMatrices
{
    private readonly MixedLinear query;
    private readonly MixedLinear keyValue;
    private readonly nn.Module<Tensor, Tensor>? queryNorm;
    private readonly nn.Module<Tensor, Tensor>? keyNorm;
    private readonly int heads;
    private readonly int groups;
    private readonly int headDim;

    public CrossProjection(StackContext stack, int heads, int groups, int headDim, bool? bias, NormBuilder? headNorm)
        : base(nameof(CrossProjection))
    {
        (this.heads, this.groups, this.headDim) = (heads, groups, headDim);
        query = stack.Linear(stack.Dim, heads * headDim, bias);
        keyValue = stack.Linear(stack.Dim, 2 * groups * headDim, bias);
        queryNorm = headNorm?.Invoke(headDim);
        keyNorm = headNorm?.Invoke(headDim);
        RegisterComponents();
    }

    public override int OutputWidth => heads * headDim;

    public override int KeyHeads => groups;

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices =>
    [
        ($"{nameof(query)}.weight", [new((long)heads * headDim, heads)]),
        ($"{nameof(keyValue)}.weight",
            [new((long)groups * headDim, groups) { Name = "key" }, new((long)groups * headDim, groups) { Name = "value" }]),
    ];

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        // (B, G, S, D)
        (Tensor key, Tensor value) = context.State is CrossState made
            ? (made.Key, made.Value)
            : KeyValue(context.Attention.Memory!.Hidden, context.Attention);
        Tensor all = query.Forward(x, context.Attention).view(x.size(0), x.size(1), heads, headDim); // (B, T, C) → (B, T, H, D)
        return (Normed(all, queryNorm).transpose(1, 2), key, value);
    }

    public (Tensor Key, Tensor Value) KeyValue(Tensor memory, AttentionContext context) // (B, S, C) → (B, G, S, D) each
    {
        Tensor all = keyValue.Forward(memory, context).view(memory.size(0), memory.size(1), 2 * groups, headDim); // (B, S, 2·G, D)
        Tensor[] parts = all.split([groups, groups], 2);
        return (Normed(parts[0], keyNorm).transpose(1, 2), parts[1].transpose(1, 2));
    }

    private static Tensor Normed(Tensor heads, nn.Module<Tensor, Tensor>? norm) => norm is null ? heads : norm.call(heads);
}
