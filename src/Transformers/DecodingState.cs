using Trainer.Configuration;

namespace Trainer.Transformers;

/// <summary>What a model remembers of the tokens it has been given, so that the next ones cost only themselves.</summary>
/// <remarks>It belongs to the model that made it, and is disposed by the caller. Not safe for several threads.</remarks>
public sealed class DecodingState : IDisposable
{
    private readonly LayerState[] layers;

    internal DecodingState(int batch, int capacity, IEnumerable<LayerState> layers)
    {
        (Batch, Capacity) = (batch, capacity);
        this.layers = [.. layers];
    }

    /// <summary>Sequences decoded side by side, B.</summary>
    public int Batch { get; }

    /// <summary>Positions there is room for.</summary>
    public int Capacity { get; }

    /// <summary>Positions remembered so far: the position of the next token.</summary>
    public int Length { get; private set; }

    /// <summary>Frees the memory of all layers.</summary>
    public void Dispose()
    {
        foreach (LayerState layer in layers) layer.Dispose();
    }

    internal LayerState Layer(int index) => layers[index];

    internal void Advance(int positions) => Length += positions;

    internal void Require(long batch, long positions)
    {
        if (batch != Batch)
            throw new ArgumentException($"The tokens hold {batch} sequences, but this decoding state was made for {Batch}.");
        if (Length + positions > Capacity)
            throw new UserException(
                $"{positions} more tokens do not fit: {Length} of {Capacity} positions are taken. Shorten the prompt, ask for fewer tokens, or give decoding a larger capacity.");
    }
}
