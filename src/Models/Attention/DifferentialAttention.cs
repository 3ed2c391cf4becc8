// Shapes: B batch, T positions, S cached and new positions, C model dimension, H query heads, G key heads, both even; D their width, R =
// H/G query heads of a key head. Values are G/2 heads of 2·D, and so are the H/2 results.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Models.Attention;

/// <summary>Differential attention: heads come in pairs that share a value, and the second's weights, times a learned λ, are subtracted from
/// the first's, which cancels what both attend to (Ye et al. 2024, arXiv 2410.05258, §2.1).</summary>
/// <remarks><see cref="AttentionOptions.Heads"/> counts query heads, as in a model with multi-head attention of the same cost: twice the
/// number that the paper gives.</remarks>
public sealed record DifferentialOptions : AttentionOptions
{
    private const double LastLambda = 0.8, LambdaRise = 0.6, LambdaRate = 0.3;

    /// <summary>Width of a query or key head, D; null for dim / heads. Values are twice as wide.</summary>
    [Description("Width of a query or key head; values are twice as wide. By default dim / heads.")]
    [Range(1, 32768)]
    public int? HeadDim { get; init; }

    /// <summary>Number of key heads, G, two to a value; null for heads.</summary>
    [Description("Number of key heads, two to a value; it must be even and divide heads. By default heads.")]
    [Range(2, 4096)]
    public int? KeyValueHeads { get; init; }

    /// <summary>What λ starts near, and 1 − what results are multiplied with; null for 0.8 − 0.6·exp(−0.3·layer), layers from 0.</summary>
    [Description("What the weight of the subtracted heads starts near; by default 0.2 in the first layer, rising to 0.8.")]
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public double? LambdaInit { get; init; }

    /// <summary>ε of the norm on each result; null for the model's.</summary>
    [Description("Added to the variance in the norm on each pair's result; by default norm.epsilon.")]
    [Range(0.0, 1.0)]
    public double? NormEpsilon { get; init; }

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Kernel == AttentionKernel.Linear)
            yield return new(
                "kernel", "'linear' has no softmax, of which type 'differential' subtracts two; use another kernel, or type 'multi-head'");
        if (Heads < 1) yield break;
        if (Heads % 2 != 0)
            yield return new(
                "heads",
                $"heads ({Heads}) must be even, as type 'differential' subtracts heads in pairs; try " +
                (Heads == 1 ? "2" : $"{Heads - 1} or {Heads + 1}"));
        else if (KeyValueHeads is { } groups and > 0 && (groups % 2 != 0 || Heads % groups != 0))
            yield return new(
                "keyValueHeads",
                $"heads ({Heads}) must be a multiple of keyValueHeads ({groups}), and that even, as pairs of heads share a value; try " +
                Divisors.Near(Heads, groups, multipleOf: 2));
    }

    /// <summary>Number of key heads, G.</summary>
    internal int Groups => KeyValueHeads ?? Heads;

    internal int KeyDim(int dim) => HeadDim ?? dim / Heads;

    /// <summary>λ_init of a layer, from 0.</summary>
    internal double LambdaInitAt(int layer) => LambdaInit ?? LastLambda - LambdaRise * Math.Exp(-LambdaRate * layer);

    // Kernels take queries, keys and values of one width.
    internal override int HeadWidth(int dim) => 2 * KeyDim(dim);

    internal override int RotaryWidth(int dim) => KeyDim(dim);

    internal override double ScoreScale(int dim) => Scale ?? 1 / Math.Sqrt(KeyDim(dim));

    internal override IEnumerable<Problem> Against(int dim) => HeadDim is not null || dim % Heads == 0
        ? []
        : [new("heads", $"heads ({Heads}) must divide dim ({dim}); {(dim % 2 == 0 ? $"try {Divisors.Near(dim, Heads, 2)}, or " : "")}" +
            "set headDim")];

    internal override Projection BuildProjection(StackContext stack, NormBuilder? headNorm) =>
        new DifferentialProjection(stack, this, headNorm);

    /// <summary>Grouped-query attention with as many heads: the paper has no attention to an encoder.</summary>
    internal override HeadProjectionOptions ToEncoder(int dim) => new GroupedQueryOptions
    {
        Heads = Heads,
        KeyValueHeads = Groups,
        HeadDim = KeyDim(dim),
        Pattern = Pattern,
        Kernel = Kernel,
        QueryKeyNorm = QueryKeyNorm,
        Scale = Scale,
        SoftCap = SoftCap,
        Bias = Bias,
        OutputBias = OutputBias,
    };

    internal override CacheLayout CacheLayout(int dim) => new(Groups, KeyDim(dim), Groups / 2, 2 * KeyDim(dim));

    internal override PartCost Cost(ModelOptions model)
    {
        int keyDim = KeyDim(model.Dim);
        long width = (long)Heads * keyDim;
        PartCost norms = QueryKeyNorm ? 2 * model.Norm.Cost(keyDim, model.Bias) : default;
        // Four vectors that λ is made from, and the norm on results.
        return PartCost.Linear(model.Dim, width + 2L * Groups * keyDim, Bias ?? model.Bias)
            + PartCost.Linear(width, model.Dim, OutputBias ?? model.Bias)
            + new PartCost(norms.Parameters + 4 * keyDim + 2 * keyDim, 0)
            {
                // Queries and keys are multiplied, then weights and values of twice the width.
                FlopsPerTokenAndKey = 6 * width,
            };
    }
}

/// <summary>Differential attention (Ye et al. 2024, arXiv 2410.05258, §2.1, equations 1 to 3).</summary>
/// <remarks>As the kernels see it, H query heads share G key heads in order, and key heads 2j and 2j + 1 have the same value: of each 2·R
/// query heads the first R are minuends, the others subtrahends. With G = H these are the rows of the authors' code; with fewer, that has
/// the two heads of a pair side by side. As there, the norm on results is an RMS norm whatever the model's is.</remarks>
internal sealed class DifferentialProjection : Projection, IDrawsOwnWeights
{
    private const double LambdaDeviation = 0.1;

    private readonly GroupedQueryProjection heads;
    private readonly Parameter lambdaQuery1;
    private readonly Parameter lambdaKey1;
    private readonly Parameter lambdaQuery2;
    private readonly Parameter lambdaKey2;
    private readonly Norm norm;
    private readonly DifferentialOptions options;
    private readonly int keyDim;

    public DifferentialProjection(StackContext stack, DifferentialOptions options, NormBuilder? headNorm)
        : base(nameof(DifferentialProjection))
    {
        (this.options, keyDim) = (options, options.KeyDim(stack.Dim));
        heads = new(stack, options.Heads, options.Groups, keyDim, options.Bias, headNorm, valueHeads: options.Groups / 2);
        lambdaQuery1 = new Parameter(zeros(keyDim));
        lambdaKey1 = new Parameter(zeros(keyDim));
        lambdaQuery2 = new Parameter(zeros(keyDim));
        lambdaKey2 = new Parameter(zeros(keyDim));
        norm = new RmsNormOptions { Epsilon = options.NormEpsilon ?? stack.Options.Norm.Epsilon }.Build(2 * keyDim, bias: false);
        RegisterComponents();
    }

    public override int OutputWidth => options.Heads * keyDim;

    public override int KeyHeads => options.Groups;

    /// <summary>As the authors' code: normal with deviation 0.1.</summary>
    public IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights =>
        from name in new[] { nameof(lambdaQuery1), nameof(lambdaKey1), nameof(lambdaQuery2), nameof(lambdaKey2) }
        select (name, (Action<Tensor, Generator?>)((weight, generator) => weight.normal_(0, LambdaDeviation, generator)));

    public override (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, MixerContext context)
    {
        (Tensor query, Tensor key, Tensor value) = heads.Project(x, context); // (B, H|G|G, T, D)
        Tensor values = value.transpose(1, 2).reshape(x.size(0), x.size(1), options.Groups / 2, 2 * keyDim); // (B, T, G/2, 2·D)
        return (query, key, values.transpose(1, 2));
    }

    // Both softmaxes of all pairs in one call: (A₁ − λ·A₂)·V = A₁·V − λ·(A₂·V).
    public override Tensor Attend(
        Tensor query, Tensor key, Tensor value, MixerContext context, Func<Tensor, Tensor, Tensor, Tensor> kernel)
    {
        Tensor all = kernel(Widened(query), Widened(key), KeyValueHeads.Repeat(value, 2)); // (B, H, T, 2·D)
        Tensor[] sides = all.unflatten(1, options.Groups / 2, 2, options.Heads / options.Groups).unbind(2); // (B, G/2, R, T, 2·D) each
        double initial = options.LambdaInitAt(context.Layer);
        Tensor difference = sides[0].sub(sides[1].mul(Lambda(initial))).flatten(1, 2); // (B, H/2, T, 2·D)
        return norm.call(difference).mul(1 - initial);
    }

    private Tensor Lambda(double initial) => Factor(lambdaQuery1, lambdaKey1).sub(Factor(lambdaQuery2, lambdaKey2)).add(initial);

    private static Tensor Factor(Tensor query, Tensor key) => query.mul(key).sum().exp();

    // Zeros change no score.
    private static Tensor Widened(Tensor heads) => cat([heads, zeros_like(heads)], -1); // (B, H|G, T|S, D) → (B, H|G, T|S, 2·D)
}
