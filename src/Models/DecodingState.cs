using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The caches of all layers, for the model that made them. The caller disposes it; not thread-safe.</summary>
public sealed class DecodingState : IDisposable
{
    private readonly BlockState[] layers;

    internal DecodingState(int batch, int capacity, IEnumerable<BlockState> layers)
    {
        (Batch, Capacity) = (batch, capacity);
        this.layers = [.. layers];
    }

    /// <summary>Number of sequences, B.</summary>
    public int Batch { get; private set; }

    /// <summary>Maximum number of positions.</summary>
    public int Capacity { get; }

    /// <summary>Positions so far: the position of the next token.</summary>
    public int Length { get; private set; }

    /// <summary>Bytes that the caches take now.</summary>
    public long Bytes => layers.Sum(layer => layer.Bytes);

    internal void Reorder(IReadOnlyList<int> rows)
    {
        if (rows.Count == 0 || rows.Any(row => row < 0 || row >= Batch))
            throw new ArgumentException(
                $"The rows [{string.Join(", ", rows)}] must be among the {Batch} sequences of this state.", nameof(rows));
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
                $"{positions} more tokens do not fit: {Length} of {Capacity} positions are taken. Shorten the prompt, ask for fewer " +
                "tokens, or give decoding a larger capacity.");
    }
}

/// <summary>The decoding state of one layer: keys and values, or the state of a recurrence.</summary>
internal abstract class LayerState : IDisposable
{
    /// <summary>Selects the sequences to continue, (B'), int64; B' may differ from B.</summary>
    public abstract void Reorder(Tensor rows);

    public abstract long Bytes { get; }

    public abstract void Dispose();
}

internal sealed record BlockState(LayerState Mixer, LayerState? Cross) : IDisposable
{
    public long Bytes => Mixer.Bytes + (Cross?.Bytes ?? 0);

    public void Reorder(Tensor rows)
    {
        Mixer.Reorder(rows);
        Cross?.Reorder(rows);
    }

    public void Dispose()
    {
        Mixer.Dispose();
        Cross?.Dispose();
    }
}
