// Shapes: B batch, T positions, S positions of the source, H query heads, G key-value heads, D head dimension, C model dimension.
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>Queries from a decoder's stream, keys and values from an encoder's output; G = H is multi-head, G = 1 multi-query.</summary>
/// <remarks>The rows of <c>keyValue.weight</c> are [G·D key | G·D value], heads in order.</remarks>
internal sealed class CrossProjection : nn.Module
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

    /// <summary>Width of the concatenated heads, which the output matrix reads.</summary>
    public int OutputWidth => heads * headDim;

    /// <summary>Number of key-value heads, G.</summary>
    public int KeyHeads => groups;

    /// <summary>(B, T, C) → (B, H, T, D)</summary>
    public Tensor Query(Tensor x) => Normed(query.forward(x).view(x.size(0), x.size(1), heads, headDim), queryNorm).transpose(1, 2);

    /// <summary>(B, S, C) → (B, G, S, D) each</summary>
    public (Tensor Key, Tensor Value) KeyValue(Tensor memory)
    {
        Tensor[] parts = keyValue.forward(memory).view(memory.size(0), memory.size(1), 2 * groups, headDim).split([groups, groups], 2);
        return (Normed(parts[0], keyNorm).transpose(1, 2), parts[1].transpose(1, 2));
    }

    private static Tensor Normed(Tensor heads, nn.Module<Tensor, Tensor>? norm) => norm is null ? heads : norm.call(heads);
}
