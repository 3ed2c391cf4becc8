// Shapes: B batch, T positions, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Projections;

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

    public override CacheLayout Layout => new(groups, headDim, groups, headDim);

    public override int KeyHeads => groups;

    public override (Tensor Query, Tensor First, Tensor Second) Project(Tensor x, MixerContext context)
    {
        // One split, not three slices: the backward pass of a split writes the gradient once.
        Tensor all = qkv.forward(x).view(x.shape[0], x.shape[1], heads + 2 * groups, headDim); // (B, T, H+2G, D)
        Tensor[] parts = queryNorm is null ? Turned(all, context) : NormedAndTurned(all, context);
        return (parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2)); // (B, H|G|G, T, D)
    }

    public override Tensor? Pack(Tensor x, bool rounds)
    {
        if (queryNorm is not null) return null;
        Tensor all = rounds && qkv.Rounds(x) ? qkv.Coarse(x) : qkv.forward(x);
        return all.view(x.shape[0], x.shape[1], heads + 2 * groups, headDim);
    }

    private Tensor[] Turned(Tensor all, MixerContext context)
    {
        if (!context.Position.RotatesHeads) return all.split([heads, groups, groups], 2);
        // Queries and keys lie side by side, so that they are turned as one tensor.
        Tensor[] parts = all.split([heads + groups, groups], 2);
        Tensor[] turned = context.Position.Rotate(parts[0], context.Pass).split([heads, groups], 2);
        return [turned[0], turned[1], parts[1]];
    }

    private Tensor[] NormedAndTurned(Tensor all, MixerContext context)
    {
        Tensor[] parts = all.split([heads, groups, groups], 2);
        Tensor query = context.Position.Rotate(queryNorm!.call(parts[0]), context.Pass);
        Tensor key = context.Position.Rotate(keyNorm!.call(parts[1]), context.Pass);
        return [query, key, parts[2]];
    }
}
