// Shapes: B batch, T positions, C model dimension, F hidden dimension.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward;

/// <summary>A feed-forward layer. A new activation is a line in each table below, another layer is a file and a line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ReluOptions), "relu")]
[JsonDerivedType(typeof(GeluOptions), "gelu")]
[JsonDerivedType(typeof(GeluTanhOptions), "gelu-tanh")]
[JsonDerivedType(typeof(SiluOptions), "silu")]
[JsonDerivedType(typeof(SquaredReluOptions), "relu2")]
[JsonDerivedType(typeof(GluOptions), "glu")]
[JsonDerivedType(typeof(ReGluOptions), "reglu")]
[JsonDerivedType(typeof(GeGluOptions), "geglu")]
[JsonDerivedType(typeof(GeGluTanhOptions), "geglu-tanh")]
[JsonDerivedType(typeof(SwiGluOptions), "swiglu")]
[JsonDerivedType(typeof(ExpertsOptions), "experts")]
public abstract record FeedForwardOptions : IValidated
{
    /// <summary>Width of the hidden layer; null for the kind's default.</summary>
    [Description("Width of the hidden layer; by default 4·dim, for gated kinds 8/3·dim rounded up to a multiple of 32.")]
    [Range(1, 1_048_576)]
    public int? HiddenDim { get; init; }

    /// <summary>Whether the linear layers have biases; null for the model's choice.</summary>
    [Description("Whether the linear layers have biases; by default the model's choice.")]
    public bool? Bias { get; init; }

    /// <summary>Whether only matrix products, which round it, read the layer's input.</summary>
    internal virtual bool ReadsRounded => false;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    internal int Width(int dim) => HiddenDim ?? DefaultWidth(dim);

    internal abstract int DefaultWidth(int dim);

    internal abstract PartCost Cost(ModelOptions model);

    internal abstract FeedForwardModule Build(StackContext stack);
}

/// <summary>A dense feed-forward layer: matrices around an activation.</summary>
public abstract record DenseOptions : FeedForwardOptions
{
    private protected DenseOptions(ActivationKind kind) => Kind = kind;

    internal ActivationKind Kind { get; }

    internal override bool ReadsRounded => true;

    internal override int DefaultWidth(int dim) => Activation.DefaultWidth(dim);

    internal override PartCost Cost(ModelOptions model)
    {
        int width = Width(model.Dim);
        bool bias = Bias ?? model.Bias;
        return PartCost.Linear(model.Dim, Activation.InputWidth(width), bias) + PartCost.Linear(width, model.Dim, bias);
    }

    internal override FeedForwardModule Build(StackContext stack) =>
        FeedForwardModule.Of(stack, Activation, Width(stack.Dim), Bias);

    private Activation Activation => Activation.Of(Kind);
}

/// <summary>down(max(up(x), 0)), as in the Transformer of 2017 (Vaswani et al., arXiv 1706.03762, §3.3).</summary>
public sealed record ReluOptions() : DenseOptions(ActivationKind.Relu);

/// <summary>down(GELU(up(x))), the exact GELU with erf (Hendrycks and Gimpel 2016, arXiv 1606.08415), as in BERT.</summary>
public sealed record GeluOptions() : DenseOptions(ActivationKind.Gelu);

/// <summary>down(GELU(up(x))), GELU approximated by ½x·(1 + tanh(√(2/π)·(x + 0.044715x³))), as in GPT-2.</summary>
public sealed record GeluTanhOptions() : DenseOptions(ActivationKind.GeluTanh);

/// <summary>down(SiLU(up(x))), SiLU(x) = x·sigmoid(x) (Elfwing et al. 2017, arXiv 1702.03118).</summary>
public sealed record SiluOptions() : DenseOptions(ActivationKind.Silu);

/// <summary>down(max(up(x), 0)²) (Primer: So et al. 2021, arXiv 2109.08668).</summary>
public sealed record SquaredReluOptions() : DenseOptions(ActivationKind.SquaredRelu);

/// <summary>down(sigmoid(gate(x)) ⊙ up(x)) (Dauphin et al. 2016, arXiv 1612.08083).</summary>
public sealed record GluOptions() : DenseOptions(ActivationKind.Glu);

/// <summary>down(max(gate(x), 0) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202).</summary>
public sealed record ReGluOptions() : DenseOptions(ActivationKind.ReGlu);

/// <summary>down(GELU(gate(x)) ⊙ up(x)), the exact GELU with erf (Shazeer 2020, arXiv 2002.05202).</summary>
public sealed record GeGluOptions() : DenseOptions(ActivationKind.GeGlu);

/// <summary>down(GELU(gate(x)) ⊙ up(x)), GELU approximated by tanh, as in T5 v1.1 and Gemma.</summary>
public sealed record GeGluTanhOptions() : DenseOptions(ActivationKind.GeGluTanh);

/// <summary>down(SiLU(gate(x)) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202), as in Llama.</summary>
public sealed record SwiGluOptions() : DenseOptions(ActivationKind.SwiGlu);

/// <summary>The function between the matrices of a feed-forward layer, by its name in a configuration.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ActivationKind>))]
public enum ActivationKind
{
    /// <summary>max(x, 0).</summary>
    [JsonStringEnumMemberName("relu")]
    Relu,

    /// <summary>x·Φ(x), the exact one with erf.</summary>
    [JsonStringEnumMemberName("gelu")]
    Gelu,

    /// <summary>GELU in its approximation by tanh.</summary>
    [JsonStringEnumMemberName("gelu-tanh")]
    GeluTanh,

    /// <summary>x·sigmoid(x).</summary>
    [JsonStringEnumMemberName("silu")]
    Silu,

    /// <summary>max(x, 0)².</summary>
    [JsonStringEnumMemberName("relu2")]
    SquaredRelu,

    /// <summary>sigmoid(gate) ⊙ up.</summary>
    [JsonStringEnumMemberName("glu")]
    Glu,

    /// <summary>max(gate, 0) ⊙ up.</summary>
    [JsonStringEnumMemberName("reglu")]
    ReGlu,

    /// <summary>GELU(gate) ⊙ up, the exact one with erf.</summary>
    [JsonStringEnumMemberName("geglu")]
    GeGlu,

    /// <summary>GELU(gate) ⊙ up, in its approximation by tanh.</summary>
    [JsonStringEnumMemberName("geglu-tanh")]
    GeGluTanh,

    /// <summary>SiLU(gate) ⊙ up.</summary>
    [JsonStringEnumMemberName("swiglu")]
    SwiGlu,
}

/// <summary>The function between the matrices; if gated it reads (…, 2F) = [gate | up] instead of (…, F).</summary>
internal sealed record Activation(bool Gated, Func<Tensor, Tensor> Apply)
{
    private const int Multiple = 32;

    private static readonly Activation Relu = new(Gated: false, x => x.relu());
    private static readonly Activation Gelu = new(Gated: false, Activations.Gelu) { Fused = FeedForwardFunction.Gelu };
    private static readonly Activation GeluTanh = new(Gated: false, Functional.GeluTanh);
    private static readonly Activation Silu = new(Gated: false, x => x.silu());
    private static readonly Activation SquaredRelu = new(Gated: false, x => x.relu().square());
    private static readonly Activation Glu = Gate(gate => gate.sigmoid());
    private static readonly Activation ReGlu = Gate(gate => gate.relu());
    private static readonly Activation GeGlu = Gate(Activations.Gelu);
    private static readonly Activation GeGluTanh = Gate(Functional.GeluTanh);
    private static readonly Activation SwiGlu = new(Gated: true, Activations.SwiGlu) { Fused = FeedForwardFunction.SwiGlu };

    /// <summary>The bfloat16 kernel for the function and both matrices; null if there is none.</summary>
    public FeedForwardFunction? Fused { get; private init; }

    public static Activation Of(ActivationKind kind) => kind switch
    {
        ActivationKind.Relu => Relu,
        ActivationKind.Gelu => Gelu,
        ActivationKind.GeluTanh => GeluTanh,
        ActivationKind.Silu => Silu,
        ActivationKind.SquaredRelu => SquaredRelu,
        ActivationKind.Glu => Glu,
        ActivationKind.ReGlu => ReGlu,
        ActivationKind.GeGlu => GeGlu,
        ActivationKind.GeGluTanh => GeGluTanh,
        ActivationKind.SwiGlu => SwiGlu,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown activation"),
    };

    public int InputWidth(int width) => Gated ? 2 * width : width;

    /// <summary>4·dim; gated 8/3·dim, so that three matrices are as large as two, rounded up to a multiple of 32.</summary>
    public int DefaultWidth(int dim) => Gated ? (int)((8L * dim + 3 * Multiple - 1) / (3 * Multiple) * Multiple) : 4 * dim;

    /// <summary>second(f(first(x))): (…, C) → (…, F) or (…, 2F) → (…, F) → (…, C).</summary>
    public Tensor Between(MixedLinear first, MixedLinear second, Tensor x, AttentionContext context)
    {
        bool adapted = first.IsAdapted(context) || second.IsAdapted(context); // the kernel reads weights alone
        return !adapted && Fused is { } function && first.Rounds(x) && second.Rounds(x) && x.numel() > 0
            ? FusedFeedForward.Apply(x, first.Operands, second.Operands, function)
            : second.Forward(Apply(first.Forward(x, context)), context); // (…, C) → (…, F) or (…, 2F) → (…, F) → (…, C)
    }

    private static Activation Gate(Func<Tensor, Tensor> function) => new(Gated: true, gateUp =>
    {
        Tensor[] halves = gateUp.chunk(2, -1); // (…, 2F) → 2 · (…, F)
        return function(halves[0]).mul(halves[1]);
    });
}

internal abstract class FeedForwardModule(string name) : nn.Module(name)
{
    public abstract Tensor Run(Tensor x, AttentionContext context); // (B, T, C) → (B, T, C)

    public static FeedForwardModule Of(StackContext stack, Activation activation, int width, bool? bias) =>
        activation.Gated ? new GatedFeedForward(stack, activation, width, bias) : new PlainFeedForward(stack, activation, width, bias);
}

/// <summary>down(f(up(x))).</summary>
internal sealed class PlainFeedForward : FeedForwardModule
{
    private readonly MixedLinear up;
    private readonly MixedLinear down;
    private readonly Activation activation;

    public PlainFeedForward(StackContext stack, Activation activation, int width, bool? bias)
        : base(nameof(PlainFeedForward))
    {
        this.activation = activation;
        up = stack.Linear(stack.Dim, width, bias);
        down = stack.ResidualLinear(width, stack.Dim, bias);
        RegisterComponents();
    }

    public override Tensor Run(Tensor x, AttentionContext context) => 
        activation.Between(up, down, x, context); // (B, T, C) → (B, T, F) → (B, T, C)
}

/// <summary>down(f(gate(x)) ⊙ up(x)) (Shazeer 2020, arXiv 2002.05202); gate and up are one matrix with the rows [F gate | F up].</summary>
internal sealed class GatedFeedForward : FeedForwardModule, IFusesMatrices
{
    private readonly MixedLinear gateUp;
    private readonly MixedLinear down;
    private readonly Activation activation;

    public GatedFeedForward(StackContext stack, Activation activation, int width, bool? bias)
        : base(nameof(GatedFeedForward))
    {
        this.activation = activation;
        gateUp = stack.Linear(stack.Dim, 2 * width, bias);
        down = stack.ResidualLinear(width, stack.Dim, bias);
        RegisterComponents();
    }

    public IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices =>
        [($"{nameof(gateUp)}.weight", [new(down.Inputs) { Name = "gate" }, new(down.Inputs) { Name = "up" }])];

    // (B, T, C) → (B, T, 2F) → (B, T, F) → (B, T, C)
    public override Tensor Run(Tensor x, AttentionContext context) => activation.Between(gateUp, down, x, context);
}
