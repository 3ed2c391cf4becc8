// Shapes: B batch, T positions of tokens or queries, S key positions, W width of a row.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>A table with a row (T, W) for each position, float64 (T, 1), kept on its device and extended as needed. Thread-safe.</summary>
/// <remarks>Rows are computed in float64 on the CPU, so that every device and length sees the same float32 numbers.</remarks>
internal sealed class PositionTable(Func<Tensor, Tensor> rows, int length) : IDisposable
{
    private readonly Lock gate = new();
    private Tensor? table;
    private (DeviceType, int)? home;

    /// <summary>The rows of the context's tokens: float32 (T, W), a view, or (B, T, W) with explicit positions.</summary>
    public Tensor Rows(AttentionContext context, int count, Device device) => context.Positions is { } positions
        ? Functional.Embedding(positions, Rows(0, context.PositionLimit, device))
        : Rows(context.Offset, count, device);

    public Tensor Rows(int start, int count, Device device) // float32 (T, W), a view
    {
        lock (gate)
        {
            if (table is null || start + count > length || device.Key != home)
                Rebuild(start + count, device);
            return table!.narrow(0, start, count);
        }
    }

    public void Dispose() => table?.Dispose();

    private void Rebuild(int needed, Device device)
    {
        table?.Dispose();
        home = device.Key;
        while (length < needed) length *= 2;
        table = Constants.Own(() => rows(arange(0, length, ScalarType.Float64).unsqueeze(1)).to_type(ScalarType.Float32).to(device));
    }
}

/// <summary>Tables that depend on the positions of queries and keys alone, shared by all layers and steps. Thread-safe.</summary>
internal sealed class SpanTables(Func<PositionSpan, PositionSpan, Device, Tensor> make) : IDisposable
{
    // Layers may see different keys, and training repeats its shapes; decoding never does.
    private const int Kept = 4;
    private readonly Dictionary<(PositionSpan, PositionSpan, (DeviceType, int)), Tensor> tables = [];

    /// <summary>The table, as a handle in the caller's scope.</summary>
    public Tensor Get(PositionSpan queries, PositionSpan keys, Device device)
    {
        lock (tables)
        {
            var key = (queries, keys, device.Key);
            if (!tables.TryGetValue(key, out Tensor? table))
            {
                if (tables.Count == Kept) Dispose();
                tables[key] = table = Constants.Own(() => make(queries, keys, device));
            }
            return table.detach();
        }
    }

    public void Dispose()
    {
        foreach (Tensor table in tables.Values) table.Dispose();
        tables.Clear();
    }
}
