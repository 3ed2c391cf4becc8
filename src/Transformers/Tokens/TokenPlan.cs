using Trainer.Torch;
using Trainer.Transformers.Positions;

namespace Trainer.Transformers;

/// <summary>Where the parts of a model write their steps of a token's program while decoding on a CPU.</summary>
/// <remarks>A part that has no such steps says so, and the model then decodes with the operations that it computes whole sequences with: a new part need
/// know nothing of this.</remarks>
/// <param name="Program">The program.</param>
/// <param name="Capacity">Positions there is room for.</param>
internal sealed record TokenPlan(TokenProgram Program, int Capacity)
{
    /// <summary>The most sequences side by side for which reading each matrix row by row is faster than a product of matrices.</summary>
    public const int MostSequences = 8;

    /// <summary>Room for numbers between steps.</summary>
    public TokenVector Vector(int width) => Program.Vector(width);

    /// <summary>A pass that reaches every position, for the tables of positions.</summary>
    public ForwardPass Everywhere() => new() { Reach = Capacity, Horizon = Capacity };
}

/// <summary>What a mixer needs to know beside its input to write its steps.</summary>
/// <param name="Position">How order enters in its layer.</param>
/// <param name="State">What it remembers.</param>
internal readonly record struct TokenMemory(PositionEncoding Position, LayerState State);

/// <summary>A token's program, whole.</summary>
/// <param name="Program">The steps.</param>
/// <param name="Logits">What they come to.</param>
internal sealed record TokenDecoder(TokenProgram Program, TokenVector Logits) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Program.Dispose();
}
