// Shapes: B batch, T positions, S positions of the source.
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What a model reads. A tensor of tokens alone stands for whole rows whose positions are their columns.</summary>
/// <param name="Tokens">Token ids (B, T), int64.</param>
public sealed record ModelInput(Tensor Tokens)
{
    /// <summary>The position of each token (B, T), int64; null where it is the column.</summary>
    public Tensor? Positions { get; init; }

    /// <summary>A bound that all <see cref="Positions"/> are below; by default the number of columns.</summary>
    public int? PositionLimit { get; init; }

    /// <summary>The document of its row that each token belongs to (B, T), int64, −1 where there is none: tokens see each other only where it is
    /// equal. Null where a row is one document.</summary>
    public Tensor? Documents { get; init; }

    /// <summary>What the encoder of an encoder-decoder reads, S positions; its <see cref="Documents"/> tell the filled places from padding (−1).</summary>
    public ModelInput? Source { get; init; }

    /// <summary>What decides which numbers are dropped while training; null for a key that is drawn for this input.</summary>
    public DropoutKey? Dropping { get; init; }

    /// <summary>Tokens alone.</summary>
    public static implicit operator ModelInput(Tensor tokens) => new(tokens);
}
