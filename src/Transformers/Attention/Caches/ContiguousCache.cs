// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head.
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Caches;

/// <summary>Remembers every token in two tensors of fixed capacity, so that a step only writes its own rows.</summary>
internal sealed class ContiguousCache : KeyValueCache
{
    private readonly Tensor first;
    private readonly Tensor second;
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
        first = Room(layout.FirstHeads, layout.FirstDim);
        second = Room(layout.SecondHeads, layout.SecondDim);

        Tensor Room(int heads, int dim) =>
            Constants.Own(() => zeros(batch, heads, capacity, dim, dtype: dtype, device: device)); // (B, G, capacity, D)
    }

    public override (Tensor First, Tensor Second) Append(Tensor newFirst, Tensor newSecond)
    {
        int added = (int)newFirst.shape[2];
        if (added > capacity - length)
            throw new InvalidOperationException($"{added} positions do not fit: the cache holds {length} of {capacity}.");
        Write(first, newFirst, added);
        Write(second, newSecond, added);
        length += added;
        return (first.narrow(2, 0, length), second.narrow(2, 0, length)); // (B, G, S, D)
    }

    public override void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }

    private void Write(Tensor room, Tensor rows, int added) => room.narrow(2, length, added).copy_(rows);
}
