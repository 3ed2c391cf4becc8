// Shapes: B batch, T positions, S positions of the source.
using Trainer.Kernels;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model's input: token ids (B, T), int64. Tokens alone stand for whole rows, positions being columns. A model of patches reads
/// <see cref="Values"/> instead, and has (B, 0) tokens.</summary>
public sealed record ModelInput(Tensor Tokens)
{
    /// <summary>The numbers that a model of patches reads, (B, numbers), float32; null for tokens.</summary>
    public Tensor? Values { get; init; }

    /// <summary>The variable that each row of <see cref="Values"/> is of, (B), int64; null for pictures, and where it is unknown.</summary>
    public Tensor? Variables { get; init; }

    /// <summary>The position of each token (B, T), int64; null for its column.</summary>
    public Tensor? Positions { get; init; }

    /// <summary>Exclusive upper bound of <see cref="Positions"/>; by default the number of columns.</summary>
    public int? PositionLimit { get; init; }

    /// <summary>The document of each token (B, T), int64, −1 for padding: tokens see only their own. Null if rows are documents.</summary>
    public Tensor? Documents { get; init; }

    /// <summary>Tokens of each row before its padding, for what counts tokens; attention does not ask. Null where
    /// <see cref="Documents"/> mark padding, or there is none.</summary>
    public int[]? Lengths { get; init; }

    /// <summary>The encoder's input, S positions; its <see cref="Documents"/> mark padding (−1).</summary>
    public ModelInput? Source { get; init; }

    /// <summary>The dropout key; null to draw one for this input.</summary>
    public DropoutKey? Dropping { get; init; }

    /// <summary>Which of the model's adapters each row takes; null for the model's own weights. The caller disposes it.</summary>
    public AdapterRows? Adapters { get; init; }

    /// <summary>Called in the backward pass with each block whose weights have their whole gradients; see
    /// <see cref="BackwardSignal"/>.</summary>
    public Action<nn.Module>? Differentiated { get; init; }

    /// <summary>Sees what every part computes when losses are computed; null for nobody, which costs nothing.</summary>
    public ILayerObserver? Observer { get; init; }

    /// <summary>Whether the same rows were run in this step before: what a step counts has been counted.</summary>
    public bool Repeats { get; init; }

    /// <summary>Rows of numbers, (B, numbers), float32, for a model of patches.</summary>
    public static ModelInput OfValues(Tensor values) =>
        new(empty([values.size(0), 0], ScalarType.Int64, values.device)) { Values = values };

    /// <summary>Tokens alone.</summary>
    public static implicit operator ModelInput(Tensor tokens) => new(tokens);
}
