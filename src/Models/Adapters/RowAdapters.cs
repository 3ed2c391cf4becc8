// Shapes: B batch, n rows of one adapter, K inputs, M outputs.
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>Several adapters of one linear layer: the layer's own product is one for all rows, and only the low-rank ones are made group by
/// group.</summary>
internal sealed class RowAdapters : IDisposable
{
    private readonly Dictionary<int, LinearAdapter> adapters = []; // by their number in the model

    public void Add(int slot, LinearAdapter adapter) => adapters.Add(slot, adapter);

    /// <summary>What the layer gives with each row's adapter, from its own <paramref name="result"/> (B, …, M) for x (B, …, K); rows
    /// without one stay as they are.</summary>
    public Tensor Apply(Tensor result, Tensor x, LinearWeight layer, ScalarType computeType, AdapterRows rows)
    {
        if (result.size(0) != rows.Batch)
            throw new ArgumentException($"Adapters are named for {rows.Batch} rows, and the batch has {result.size(0)}.", nameof(rows));
        foreach ((int slot, Tensor? indices) in rows.Groups)
        {
            if (!adapters.TryGetValue(slot, out LinearAdapter? adapter)) continue; // has other layers
            if (indices is null) return adapter.Apply(result, x, layer, computeType, context: null);
            Tensor adapted = adapter.Apply(
                result.index_select(0, indices), x.index_select(0, indices), layer, computeType, context: null); // (n, …, M)
            result = result.index_copy(0, indices, adapted);
        }
        return result;
    }

    public void Dispose()
    {
        foreach (LinearAdapter adapter in adapters.Values) adapter.Dispose();
    }
}
