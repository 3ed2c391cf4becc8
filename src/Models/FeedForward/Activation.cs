// Shapes: F hidden dimension.
using Trainer.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward;

/// <summary>The function between the matrices of a feed-forward layer.</summary>
/// <param name="Gated">Whether it reads (…, 2F) = [gate | up] instead of (…, F).</param>
/// <param name="Apply">(…, F) or (…, 2F) → (…, F).</param>
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

    /// <summary>The kernel of the function and the matrices around it, multiplied in bfloat16; null where there is none.</summary>
    public FeedForwardFunction? Fused { get; private init; }

    /// <summary>The function of a name.</summary>
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

    /// <summary>Rows of the matrix before the function, for a hidden width.</summary>
    public int InputWidth(int width) => Gated ? 2 * width : width;

    /// <summary>The hidden width when none is given: 4·dim; gated 8/3·dim, which makes three matrices as large as two, rounded up to a multiple of 32.</summary>
    public int DefaultWidth(int dim) => Gated ? (int)((8L * dim + 3 * Multiple - 1) / (3 * Multiple) * Multiple) : 4 * dim;

    /// <summary>second(f(first(x))).</summary>
    /// <param name="first">(…, C) → (…, F) or (…, 2F)</param>
    /// <param name="second">(…, F) → (…, C)</param>
    /// <param name="x">(…, C)</param>
    public Tensor Between(CastLinear first, CastLinear second, Tensor x) =>
        Fused is { } function && first.Rounds(x) && second.Rounds(x) && x.numel() > 0
            ? FusedFeedForward.Apply(x, first.Parts, second.Parts, function)
            : second.forward(Apply(first.forward(x))); // (…, C) → (…, F) or (…, 2F) → (…, F) → (…, C)

    private static Activation Gate(Func<Tensor, Tensor> function) => new(Gated: true, gateUp =>
    {
        Tensor[] halves = gateUp.chunk(2, -1); // (…, 2F) → 2 · (…, F)
        return function(halves[0]).mul(halves[1]);
    });
}
