// Shapes: B batch, T positions, S positions remembered and new, C model dimension, H heads; widths of a head: N part of query and key without
// position, P part that positions turn, V value, W = max(N + P, V) for the kernel; r the vector that keys and values are made from.
using Trainer.Transformers.Attention.Caches;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>Latent attention (DeepSeek-AI 2024, arXiv 2405.04434, §2.1, and the equations of appendix C).</summary>
/// <remarks>
/// Remembered is [c | k]: c = norm(W_DKV·x) of rank r and the shared key k that positions have turned. Whole sequences are computed with keys and
/// values of every head, made from c. Decoding does without them: q·(W_UK·c) = (W_UKᵀ·q)·c, so that [c | k] itself is the one
/// key of all heads, and the value too, of which the first r numbers, times W_UV, are a head's result.
/// The rows of the matrices are DeepSeek's, whose names are in brackets: <c>query</c> (q_proj) or <c>queryUp</c> (q_b_proj) [N | P] for
/// each head, <c>keyValueDown</c> (kv_a_proj_with_mqa) [r | P], <c>keyValueUp</c> (kv_b_proj) [N key | V value] for each head. As there, the matrices
/// after a norm and <c>query</c> have no bias, and the norms are root-mean-square whatever the model's are.
/// </remarks>
internal sealed class LatentProjection : Projection
{
    private readonly CastLinear? query;
    private readonly CastLinear? queryDown;
    private readonly Norm? queryNorm;
    private readonly CastLinear? queryUp;
    private readonly CastLinear keyValueDown;
    private readonly Norm keyValueNorm;
    private readonly CastLinear keyValueUp;
    private readonly LatentShape shape;

    public LatentProjection(ModelParts parts, LatentOptions options)
        : base(nameof(LatentProjection))
    {
        shape = options.Shape(parts.Dim);
        if (options.QueryRank is { } rank)
        {
            queryDown = parts.Linear(parts.Dim, rank, options.Bias);
            queryNorm = VectorNorm(rank);
            queryUp = parts.Linear(rank, shape.QueryRows, bias: false);
        }
        else
        {
            query = parts.Linear(parts.Dim, shape.QueryRows, bias: false);
        }
        keyValueDown = parts.Linear(parts.Dim, shape.Remembered, options.Bias);
        keyValueNorm = VectorNorm(shape.Rank);
        keyValueUp = parts.Linear(shape.Rank, shape.ExpandedRows, bias: false, keepsWeight: true);
        RegisterComponents();

        Norm VectorNorm(int width) => new RmsNormOptions { Epsilon = options.NormEpsilon ?? parts.Options.Norm.Epsilon }.Build(width, bias: false);
    }

    public override int OutputWidth => shape.OutputWidth;

    public override CacheLayout Layout => shape.Layout;

    public override int KeyHeads => shape.Heads;

    public override (Tensor Query, Tensor First, Tensor Second) Project(Tensor x, MixerContext context)
    {
        Tensor latent = Latent(x, context).unsqueeze(1); // (B, 1, T, r+P)
        return (Queries(x, context).transpose(1, 2), latent, latent.narrow(1, 0, 0)); // (B, H, T, N+P)
    }

    public override (Tensor Query, Tensor Key, Tensor Value) Expand(Tensor query, Tensor first, Tensor second, bool remembered) =>
        Absorbs(query.size(2), remembered) ? (Absorbed(query), first, first) : Expanded(query, first);

    public override Tensor Finish(Tensor heads, bool remembered) => Absorbs(heads.size(2), remembered)
        ? heads.narrow(-1, 0, shape.Rank).matmul(Up(heads.dtype).narrow(1, shape.HeadDim, shape.ValueDim).transpose(1, 2)) // (B, H, T, r)·(H, r, V) → (B, H, T, V)
        : heads.narrow(-1, 0, shape.ValueDim); // (B, H, T, W) → (B, H, T, V)

    // A long prompt is computed as in training, a token at a time over what is remembered.
    private bool Absorbs(long queries, bool remembered) => remembered && shape.PaysToAbsorb(queries);

    private Tensor Queries(Tensor x, MixerContext context)
    {
        Tensor rows = query is not null ? query.forward(x) : queryUp!.forward(queryNorm!.call(queryDown!.forward(x)));
        Tensor heads = rows.view(x.size(0), x.size(1), shape.Heads, shape.KeyDim); // (B, T, H, N+P)
        if (!context.Position.RotatesHeads) return heads;
        Tensor[] parts = heads.split([shape.HeadDim, shape.TurnedDim], -1);
        return cat([parts[0], context.Position.Rotate(parts[1], context.Pass).to_type(heads.dtype)], -1); // (B, T, H, N+P)
    }

    private Tensor Latent(Tensor x, MixerContext context)
    {
        Tensor[] parts = keyValueDown.forward(x).split([shape.Rank, shape.TurnedDim], -1); // (B, T, r), (B, T, P)
        Tensor key = context.Position.Rotate(parts[1].unsqueeze(2), context.Pass).squeeze(2); // one head: (B, T, 1, P) → (B, T, P)
        Tensor vector = keyValueNorm.call(parts[0]); // float32 whatever the model computes in
        return cat([vector, key.to_type(vector.dtype)], -1); // (B, T, r+P)
    }

    private (Tensor Query, Tensor Key, Tensor Value) Expanded(Tensor query, Tensor first)
    {
        long batch = first.size(0), length = first.size(2);
        Tensor latent = first.squeeze(1); // (B, S, r+P)
        Tensor all = keyValueUp.forward(latent.narrow(-1, 0, shape.Rank)).to_type(query.dtype); // (B, S, H·(N+V))
        Tensor[] parts = all.view(batch, length, shape.Heads, shape.HeadDim + shape.ValueDim).split([shape.HeadDim, shape.ValueDim], -1);
        Tensor shared = latent.narrow(-1, shape.Rank, shape.TurnedDim).unsqueeze(2).expand(-1, -1, shape.Heads, -1); // (B, S, H, P)
        Tensor key = cat([parts[0], shared], -1); // (B, S, H, N+P)
        return (Widened(query), Widened(key.transpose(1, 2)), Widened(parts[1].transpose(1, 2))); // (B, H, T|S, W)
    }

    // Fused attention takes queries, keys and values of one width only. Zeros change neither scores nor results.
    private Tensor Widened(Tensor heads)
    {
        long[] size = heads.shape;
        long missing = shape.KernelWidth - size[3];
        return missing == 0 ? heads : cat([heads, zeros([size[0], size[1], size[2], missing], dtype: heads.dtype, device: heads.device)], -1);
    }

    private Tensor Absorbed(Tensor query)
    {
        Tensor[] parts = query.split([shape.HeadDim, shape.TurnedDim], -1); // (B, H, T, N), (B, H, T, P)
        Tensor onVector = parts[0].matmul(Up(query.dtype).narrow(1, 0, shape.HeadDim)); // (B, H, T, N)·(H, N, r) → (B, H, T, r)
        return cat([onVector, parts[1]], -1); // (B, H, T, r+P)
    }

    // W_UK and W_UV of each head: (H, N+V, r).
    private Tensor Up(ScalarType type) => keyValueUp.Weight.view(shape.Heads, shape.HeadDim + shape.ValueDim, shape.Rank).to_type(type);
}
