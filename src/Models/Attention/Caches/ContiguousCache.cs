// Shapes: B batch, G heads of a cached tensor, T new positions, S cached and new positions, D width of a head.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Caches every token in two tensors of fixed capacity; a step writes only its own rows.</summary>
internal sealed class ContiguousCache : KeyValueCache
{
    private Tensor keys;
    private Tensor values;
    private readonly int capacity;
    private int length;

    public ContiguousCache(CacheLayout layout, int batch, int capacity, ScalarType dtype, Device device)
    {
        this.capacity = capacity;
        keys = Empty(layout.KeyHeads, layout.KeyDim);
        values = Empty(layout.ValueHeads, layout.ValueDim);

        Tensor Empty(int heads, int dim) =>
            Constants.Own(() => zeros(batch, heads, capacity, dim, dtype: dtype, device: device)); // (B, G, capacity, D)
    }

    public override long Bytes => keys.numel() * keys.element_size() + values.numel() * values.element_size();

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Contents =>
        (keys.narrow(2, 0, length), values.narrow(2, 0, length), new(0, length));

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Append(Tensor key, Tensor value)
    {
        int added = (int)key.shape[2];
        if (added > capacity - length)
            throw new InvalidOperationException($"{added} positions do not fit: the cache holds {length} of {capacity}.");
        Write(keys, key, added);
        Write(values, value, added);
        length += added;
        return Contents;
    }

    public override void Reorder(Tensor rows)
    {
        keys = Chosen(keys, rows);
        values = Chosen(values, rows);
    }

    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }

    // Copies only the filled part.
    private Tensor Chosen(Tensor old, Tensor rows)
    {
        Tensor chosen = Constants.Own(() =>
        {
            Tensor room = zeros(rows.size(0), old.size(1), capacity, old.size(3), dtype: old.dtype, device: old.device);
            room.narrow(2, 0, length).copy_(old.narrow(2, 0, length).index_select(0, rows.to(old.device)));
            return room;
        });
        old.Dispose();
        return chosen;
    }

    private void Write(Tensor room, Tensor rows, int added) => room.narrow(2, length, added).copy_(rows);
}
