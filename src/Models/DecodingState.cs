// Shapes: B batch, T positions.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>The caches of all layers, for the model that made them. The caller disposes it; not thread-safe.</summary>
public sealed class DecodingState : IDisposable
{
    private readonly bool isBatch;
    private BlockState[] layers;
    private int[] lengths; // of the sequences
    private int[] slots; // their adapters in the model, −1 for none

    internal DecodingState(int batch, int capacity, Device device, IEnumerable<BlockState> layers)
    {
        (lengths, Capacity, Device) = (new int[batch], capacity, device);
        slots = [.. Enumerable.Repeat(-1, batch)];
        this.layers = [.. layers];
    }

    private DecodingState(int capacity, Device device)
        : this(0, capacity, device, []) => isBatch = true;

    /// <summary>An empty batch for sequences of different lengths, which join it (<see cref="Append"/>) and leave it
    /// (<see cref="Reorder"/>) between tokens; each step adds one token to each of them.</summary>
    internal static DecodingState NewBatch(int capacity, Device device) => new(capacity, device);

    /// <summary>Number of sequences, B.</summary>
    public int Batch => lengths.Length;

    /// <summary>Maximum number of positions.</summary>
    public int Capacity { get; }

    /// <summary>Positions so far, of the longest sequence: the position of its next token.</summary>
    public int Length => lengths.DefaultIfEmpty().Max();

    internal Device Device { get; }

    /// <summary>In a batch, the position of each sequence's next token: (B, 1), int64; else null, and it is <see cref="Length"/>.</summary>
    internal Tensor? Positions { get; private set; }

    /// <summary>Which adapters the sequences take; null for none.</summary>
    internal AdapterRows? Adapters { get; private set; }

    /// <summary>Bytes that the caches take now.</summary>
    public long Bytes => layers.Sum(layer => layer.Bytes);

    /// <summary>Adds the sequences of a state that has read their prompts, behind the present ones; that state stays as it is.</summary>
    internal void Append(DecodingState other)
    {
        if (!isBatch || other.isBatch || other.Capacity != Capacity)
            throw new ArgumentException("What joins a batch is a state of the same capacity that has read its prompts.", nameof(other));
        using DisposeScope scope = NewDisposeScope();
        layers = [.. other.layers.Select((layer, index) => layer.AppendTo(layers.ElementAtOrDefault(index)))];
        Place([.. lengths, .. other.lengths], [.. slots, .. other.slots]);
    }

    /// <summary>Makes each new sequence continue one of the present ones; a batch may become empty.</summary>
    internal void Reorder(IReadOnlyList<int> rows)
    {
        if (isBatch && rows.Count == 0)
        {
            Dispose();
            return;
        }
        if (rows.Count == 0 || rows.Any(row => row < 0 || row >= Batch))
            throw new ArgumentException(
                $"The rows [{string.Join(", ", rows)}] must be among the {Batch} sequences of this state.", nameof(rows));
        using Tensor indices = Constants.Own(() => tensor([.. rows.Select(row => (long)row)], dtype: ScalarType.Int64));
        foreach (BlockState layer in layers) layer.Reorder(indices);
        Place([.. rows.Select(row => lengths[row])], [.. rows.Select(row => slots[row])]);
    }

    /// <summary>Frees the memory of all layers.</summary>
    public void Dispose()
    {
        foreach (BlockState layer in layers) layer.Dispose();
        Adapters?.Dispose();
        Adapters = null;
        if (!isBatch) return;
        layers = [];
        Place([], []);
    }

    /// <summary>Gives all sequences of a new state an adapter, by its number in the model.</summary>
    internal DecodingState Adapted(int slot)
    {
        Place(lengths, [.. slots.Select(_ => slot)]);
        return this;
    }

    internal BlockState Layer(int index) => layers[index];

    internal void Advance(int positions)
    {
        for (int row = 0; row < lengths.Length; row++) lengths[row] += positions;
        Positions?.add_(positions); // stays on the device
    }

    internal void Require(long batch, long positions)
    {
        if (batch != Batch)
            throw new ArgumentException($"The tokens hold {batch} sequences, but this decoding state was made for {Batch}.");
        if (isBatch && positions != 1)
            throw new ArgumentException($"A batch adds one token to each sequence at a time, not {positions}.");
        if (Length + positions > Capacity)
            throw new UserException(
                $"{positions} more tokens do not fit: {Length} of {Capacity} positions are taken. Shorten the prompt, ask for fewer " +
                "tokens, or give decoding a larger capacity.");
    }

    private void Place(int[] next, int[] adapters)
    {
        (lengths, slots) = (next, adapters);
        Adapters?.Dispose();
        Adapters = AdapterRows.Of(slots, Device);
        Positions?.Dispose();
        Positions = isBatch && next.Length > 0
            ? Constants.Own(() => tensor([.. next.Select(length => (long)length)], [next.Length, 1]).to(Device))
            : null;
    }
}

/// <summary>The decoding state of one layer: keys and values, or the state of a recurrence.</summary>
internal abstract class LayerState : IDisposable
{
    /// <summary>Selects the sequences to continue, (B'), int64; B' may differ from B.</summary>
    public abstract void Reorder(Tensor rows);

    /// <summary>A batch (<see cref="DecodingState.NewBatch"/>) of the sequences of another, which is used up, and these, which stay as they
    /// are; null for an empty one.</summary>
    public abstract LayerState AppendTo(LayerState? batch);

    public abstract long Bytes { get; }

    public abstract void Dispose();

    /// <summary>Rows, which are used up, and more of them.</summary>
    protected static Tensor Joined(Tensor? rows, Tensor more)
    {
        Tensor joined = Constants.Own(() => rows is null ? more.clone() : cat([rows, more], 0));
        rows?.Dispose();
        return joined;
    }
}

internal sealed record BlockState(LayerState Mixer, LayerState? Cross) : IDisposable
{
    public long Bytes => Mixer.Bytes + (Cross?.Bytes ?? 0);

    public void Reorder(Tensor rows)
    {
        Mixer.Reorder(rows);
        Cross?.Reorder(rows);
    }

    public BlockState AppendTo(BlockState? batch) => new(Mixer.AppendTo(batch?.Mixer), Cross?.AppendTo(batch?.Cross));

    public void Dispose()
    {
        Mixer.Dispose();
        Cross?.Dispose();
    }
}
