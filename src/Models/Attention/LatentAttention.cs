// Shapes: B batch, T positions, S cached and new positions, C model dimension, H heads; widths of a head: N without position and P rotated
// (query and key), V value, W = max(N + P, V) for the kernel; r cached vector that keys and values are made from.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>Multi-head latent attention: one short vector of each token makes all heads' keys and values, and only it and one rotary key
/// are cached (DeepSeek-AI 2024, arXiv 2405.04434, §2.1). The default widths are the paper's proportions.</summary>
public sealed record LatentOptions : AttentionOptions
{
    /// <summary>Width of the part of a query or key that carries no position; null for dim / heads.</summary>
    [Description("Width of the part of a head's query and key that carries no position; by default dim / heads.")]
    [Range(1, 65536)]
    public int? HeadDim { get; init; }

    /// <summary>Width of the part of a query or key that positions rotate, the key's shared by all heads; null for headDim / 2.</summary>
    [Description("Width of the part of a head's query and key that positions rotate, one key for all heads; by default headDim / 2.")]
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

    /// <summary>Width of the vector that queries are made from; null to make them from the stream.</summary>
    [Description("Width of the vector that queries are made from (DeepSeek-V3: 1536); by default queries are made from the stream itself.")]
    [Range(1, 1_048_576)]
    public int? QueryRank { get; init; }

    /// <summary>ε of the norms on these vectors; null for the model's.</summary>
    [Description(
        "Added to the variance in the norms on the vectors that queries, keys and values are made from (DeepSeek-V3: 1e-6); " +
        "by default norm.epsilon.")]
    [Range(0.0, 1.0)]
    public double? NormEpsilon { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (QueryKeyNorm)
            yield return new(
                "queryKeyNorm",
                "is true, but type 'latent' always has norms of its own, on the vectors that queries, keys and values are made from; " +
                "set it to false");
        if (Kernel == AttentionKernel.Linear)
            yield return new(
                "kernel",
                "'linear' remembers one sum of keys and values, so that there is nothing for type 'latent' to make smaller; use type " +
                "'multi-head', or another kernel");
    }

    internal LatentShape Shape(int dim)
    {
        int headDim = HeadDim ?? dim / Heads;
        // Rotary positions rotate pairs.
        int rotaryDims = RopeDim ?? (headDim + 3) / 4 * 2;
        return new(Heads, headDim, rotaryDims, ValueDim ?? headDim, KeyValueRank ?? 4 * headDim);
    }

    internal override int HeadWidth(int dim) => Shape(dim).KernelWidth;

    internal override int RotaryWidth(int dim) => Shape(dim).RotaryDim;

    internal override double ScoreScale(int dim) => Scale ?? 1 / Math.Sqrt(Shape(dim).KeyDim);

    internal override IEnumerable<Problem> Against(int dim) => HeadDim is not null || dim % Heads == 0
        ? []
        : [new("heads", $"heads ({Heads}) must divide dim ({dim}); try {Divisors.Near(dim, Heads)}, or set headDim")];

    internal override Projection BuildProjection(StackContext stack, NormBuilder? headNorm) => new LatentProjection(stack, this);

    /// <summary>An encoder's keys and values do not grow in decoding: there is little to save.</summary>
    internal override HeadProjectionOptions ToEncoder(int dim) => new MultiHeadOptions
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

    internal override CacheLayout CacheLayout(int dim) => Shape(dim).Layout;

    internal override PartCost Cost(ModelOptions model)
    {
        LatentShape shape = Shape(model.Dim);
        bool bias = Bias ?? model.Bias;
        PartCost keyValue = PartCost.Linear(model.Dim, shape.CachedWidth, bias) + new PartCost(shape.Rank, 0)
            + PartCost.Linear(shape.Rank, shape.ExpandedRows, false);
        PartCost output = PartCost.Linear(shape.OutputWidth, model.Dim, OutputBias ?? model.Bias);
        return QueryCost(model.Dim, shape.QueryRows, bias) + keyValue + output + new PartCost(0, 0)
        {
            // Queries and keys are multiplied, then weights and values.
            FlopsPerTokenAndKey = 2L * Heads * (shape.KeyDim + shape.ValueDim),
        };
    }

    private PartCost QueryCost(int dim, int rows, bool bias) => QueryRank is not { } rank
        ? PartCost.Linear(dim, rows, false)
        : PartCost.Linear(dim, rank, bias) + new PartCost(rank, 0) + PartCost.Linear(rank, rows, false);
}

/// <summary>Heads H, widths N without position and P rotated, value width V, and rank r of the cached vector.</summary>
internal readonly record struct LatentShape(int Heads, int HeadDim, int RotaryDim, int ValueDim, int Rank)
{
    public int KeyDim => HeadDim + RotaryDim;

    /// <summary>The width of the kernel's heads, to which narrower ones are padded with zeros.</summary>
    public int KernelWidth => Math.Max(KeyDim, ValueDim);

    public int QueryRows => Heads * KeyDim;

    public int ExpandedRows => Heads * (HeadDim + ValueDim);

    public int OutputWidth => Heads * ValueDim;

    public int CachedWidth => Rank + RotaryDim;

    /// <summary>One tensor, as the key; the value is empty.</summary>
    public CacheLayout Layout => new(1, CachedWidth, 0, CachedWidth);

    /// <summary>Whether so many new queries are cheaper over the cached vectors than over keys and values made from them.</summary>
    /// <remarks>A head multiplies T·S·2(r + P) times over the vectors, else S·r·(N + V) + T·S·(N + P + V): S cancels out.</remarks>
    public bool PaysToAbsorb(long queries) => queries * (2L * CachedWidth - KeyDim - ValueDim) <= (long)Rank * (HeadDim + ValueDim);
}

/// <summary>Latent attention (DeepSeek-AI 2024, arXiv 2405.04434, §2.1, and the equations of appendix C).</summary>
/// <remarks><para>Cached is [c | k]: c = norm(W_DKV·x) of rank r, and the rotated shared key k. Decoding absorbs the matrices: q·(W_UK·c) =
/// (W_UKᵀ·q)·c, so that [c | k] is the one key of all heads, and its first r numbers, times W_UV, are a head's result.</para>
/// <para>The rows are DeepSeek's: <c>query</c> (q_proj) or <c>queryUp</c> (q_b_proj) [N | P] for each head, <c>keyValueDown</c>
/// (kv_a_proj_with_mqa) [r | P], <c>keyValueUp</c> (kv_b_proj) [N key | V value] for each head. As there, matrices after a norm and
/// <c>query</c> have no bias, and the norms are RMS norms whatever the model's are.</para></remarks>
internal sealed class LatentProjection : Projection, IFusesMatrices
{
    private readonly MixedLinear? query;
    private readonly MixedLinear? queryDown;
    private readonly Norm? queryNorm;
    private readonly MixedLinear? queryUp;
    private readonly MixedLinear keyValueDown;
    private readonly Norm keyValueNorm;
    private readonly MixedLinear keyValueUp;
    private readonly LatentShape shape;

    public LatentProjection(StackContext stack, LatentOptions options)
        : base(nameof(LatentProjection))
    {
        shape = options.Shape(stack.Dim);
        if (options.QueryRank is { } rank)
        {
            queryDown = stack.Linear(stack.Dim, rank, options.Bias);
            queryNorm = VectorNorm(rank);
            queryUp = stack.Linear(rank, shape.QueryRows, bias: false);
        }
        else
        {
            query = stack.Linear(stack.Dim, shape.QueryRows, bias: false);
        }
        keyValueDown = stack.Linear(stack.Dim, shape.CachedWidth, options.Bias);
        keyValueNorm = VectorNorm(shape.Rank);
        keyValueUp = stack.Linear(shape.Rank, shape.ExpandedRows, bias: false, keepsWeight: true);
        RegisterComponents();

        Norm VectorNorm(int width) =>
            new RmsNormOptions { Epsilon = options.NormEpsilon ?? stack.Options.Norm.Epsilon }.Build(width, bias: false);
    }

    public override int OutputWidth => shape.OutputWidth;

    public override int KeyHeads => shape.Heads;

    /// <summary>A head of <c>keyValueUp</c> is its keys and values together.</summary>
    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices =>
    [
        ($"{(query is null ? nameof(queryUp) : nameof(query))}.weight", [new(shape.QueryRows, shape.Heads)]),
        ($"{nameof(keyValueDown)}.weight", [new(shape.Rank), new(shape.RotaryDim)]),
        ($"{nameof(keyValueUp)}.weight", [new(shape.ExpandedRows, shape.Heads)]),
    ];

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        Tensor latent = Latent(x, context).unsqueeze(1); // (B, 1, T, r+P)
        return (Queries(x, context).transpose(1, 2), latent, latent.narrow(1, 0, 0)); // (B, H, T, N+P)
    }

    // As in training for a long prompt, over the cached vectors themselves for a token at a time.
    public override Tensor Attend(
        Tensor query, Tensor key, Tensor value, MixerContext context, Func<Tensor, Tensor, Tensor, Tensor> kernel)
    {
        // Absorbed is one matrix for all rows.
        if (context.State is not null && shape.PaysToAbsorb(query.size(2)) && !keyValueUp.AdaptsRows(context.Attention))
        {
            Tensor vectors = kernel(Absorbed(query), key, key).narrow(-1, 0, shape.Rank); // (B, H, T, r)
            // (B, H, T, r)·(H, r, V) → (B, H, T, V)
            return vectors.matmul(Up(vectors.dtype).narrow(1, shape.HeadDim, shape.ValueDim).transpose(1, 2));
        }
        (query, key, value) = Expanded(query, key, context.Attention);
        return kernel(query, key, value).narrow(-1, 0, shape.ValueDim); // (B, H, T, W) → (B, H, T, V)
    }

    private Tensor Queries(Tensor x, MixerContext context)
    {
        AttentionContext pass = context.Attention;
        Tensor rows = query is not null
            ? query.Forward(x, pass)
            : queryUp!.Forward(queryNorm!.call(queryDown!.Forward(x, pass)), pass);
        Tensor heads = rows.view(x.size(0), x.size(1), shape.Heads, shape.KeyDim); // (B, T, H, N+P)
        if (!context.Position.RotatesHeads) return heads;
        Tensor[] parts = heads.split([shape.HeadDim, shape.RotaryDim], -1);
        return cat([parts[0], context.Position.Rotate(parts[1], context.Attention).to_type(heads.dtype)], -1); // (B, T, H, N+P)
    }

    private Tensor Latent(Tensor x, MixerContext context)
    {
        Tensor[] parts = keyValueDown.Forward(x, context.Attention).split([shape.Rank, shape.RotaryDim], -1); // (B, T, r), (B, T, P)
        Tensor key = context.Position.Rotate(parts[1].unsqueeze(2), context.Attention).squeeze(2); // one head: (B, T, 1, P) → (B, T, P)
        Tensor vector = keyValueNorm.call(parts[0]); // float32 whatever the model computes in
        return cat([vector, key.to_type(vector.dtype)], -1); // (B, T, r+P)
    }

    private (Tensor Query, Tensor Key, Tensor Value) Expanded(Tensor query, Tensor cached, AttentionContext context)
    {
        long batch = cached.size(0), length = cached.size(2);
        Tensor latent = cached.squeeze(1); // (B, S, r+P)
        Tensor all = keyValueUp.Forward(latent.narrow(-1, 0, shape.Rank), context).to_type(query.dtype); // (B, S, H·(N+V))
        Tensor[] parts = all.view(batch, length, shape.Heads, shape.HeadDim + shape.ValueDim).split([shape.HeadDim, shape.ValueDim], -1);
        Tensor shared = latent.narrow(-1, shape.Rank, shape.RotaryDim).unsqueeze(2).expand(-1, -1, shape.Heads, -1); // (B, S, H, P)
        Tensor key = cat([parts[0], shared], -1); // (B, S, H, N+P)
        return (Widened(query), Widened(key.transpose(1, 2)), Widened(parts[1].transpose(1, 2))); // (B, H, T|S, W)
    }

    // Fused attention takes queries, keys and values of one width only. Zeros change neither scores nor results.
    private Tensor Widened(Tensor heads)
    {
        long[] size = heads.shape;
        long missing = shape.KernelWidth - size[3];
        return missing == 0
            ? heads
            : cat([heads, zeros([size[0], size[1], size[2], missing], dtype: heads.dtype, device: heads.device)], -1);
    }

    private Tensor Absorbed(Tensor query)
    {
        Tensor[] parts = query.split([shape.HeadDim, shape.RotaryDim], -1); // (B, H, T, N), (B, H, T, P)
        Tensor onVector = parts[0].matmul(Up(query.dtype).narrow(1, 0, shape.HeadDim)); // (B, H, T, N)·(H, N, r) → (B, H, T, r)
        return cat([onVector, parts[1]], -1); // (B, H, T, r+P)
    }

    // W_UK and W_UV of each head: (H, N+V, r).
    private Tensor Up(ScalarType type) =>
        keyValueUp.EffectiveWeight.view(shape.Heads, shape.HeadDim + shape.ValueDim, shape.Rank).to_type(type);
}
