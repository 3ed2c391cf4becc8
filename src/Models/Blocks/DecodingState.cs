using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What a model remembers of the tokens it has been given, so that the next ones cost only themselves.</summary>
/// <remarks>It belongs to the model that made it, and is disposed by the caller. Not safe for several threads.</remarks>
public sealed class DecodingState : IDisposable
{
    private readonly BlockState[] layers;

    internal DecodingState(int batch, int capacity, IEnumerable<BlockState> layers)
    {
        (Batch, Capacity) = (batch, capacity);
        this.layers = [.. layers];
    }

    /// <summary>Sequences decoded side by side, B.</summary>
    public int Batch { get; private set; }

    /// <summary>Positions there is room for.</summary>
    public int Capacity { get; }

    /// <summary>Positions remembered so far: the position of the next token.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes of memory that all layers take now.</summary>
    public long Bytes => layers.Sum(layer => layer.Bytes);

    /// <summary>Makes each sequence go on from one of the present ones: beams that survive, samples that branch off.</summary>
    /// <param name="rows">For each new sequence the present one it continues; there may be more or fewer than before.</param>
    public void Reorder(IReadOnlyList<int> rows)
    {
        if (rows.Count == 0 || rows.Any(row => row < 0 || row >= Batch))
            throw new ArgumentException($"The rows [{string.Join(", ", rows)}] must be among the {Batch} sequences of this state.", nameof(rows));
        using Tensor indices = Constants.Own(() => tensor([.. rows.Select(row => (long)row)], dtype: ScalarType.Int64));
        foreach (BlockState layer in layers) layer.Reorder(indices);
        Batch = rows.Count;
    }

    /// <summary>Frees the memory of all layers.</summary>
    public void Dispose()
    {
        foreach (BlockState layer in layers) layer.Dispose();
    }

    internal BlockState Layer(int index) => layers[index];

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
