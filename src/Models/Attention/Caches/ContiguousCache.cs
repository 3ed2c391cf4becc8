// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Remembers every token in two tensors of fixed capacity, so that a step only writes its own rows.</summary>
internal sealed class ContiguousCache : KeyValueCache
{
    private Tensor first;
    private Tensor second;
    private readonly int capacity;
    private int length;

    /// <param name="layout">What is remembered of a token.</param>
    /// <param name="batch">Sequences, B.</param>
    /// <param name="capacity">Positions there is room for.</param>
    /// <param name="dtype">The type keys and values are computed in.</param>
    /// <param name="device">Where.</param>
    public ContiguousCache(CacheLayout layout, int batch, int capacity, ScalarType dtype, Device device)
    {
        this.capacity = capacity;
        first = Empty(layout.FirstHeads, layout.FirstDim);
        second = Empty(layout.SecondHeads, layout.SecondDim);

        Tensor Empty(int heads, int dim) =>
            Constants.Own(() => zeros(batch, heads, capacity, dim, dtype: dtype, device: device)); // (B, G, capacity, D)
    }

    public override long Bytes => first.numel() * first.element_size() + second.numel() * second.element_size();

    public override (Tensor First, Tensor Second, PositionSpan Positions) Remembered => (first.narrow(2, 0, length), second.narrow(2, 0, length), new(0, length));

    public override (Tensor First, Tensor Second, PositionSpan Positions) Append(Tensor newFirst, Tensor newSecond)
    {
        int added = (int)newFirst.shape[2];
        if (added > capacity - length)
            throw new InvalidOperationException($"{added} positions do not fit: the cache holds {length} of {capacity}.");
        Write(first, newFirst, added);
        Write(second, newSecond, added);
        length += added;
        return Remembered;
    }

    public override void Reorder(Tensor rows)
    {
        first = Chosen(first, rows);
        second = Chosen(second, rows);
    }

    public override void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }

    // Only what is filled is copied.
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
