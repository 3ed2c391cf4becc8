// Shapes: T query positions, S key positions.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>What depends on nothing but where queries and keys stand, made once for all layers and, while shapes repeat, for all steps.</summary>
/// <remarks>Safe for several threads.</remarks>
/// <param name="make">Makes the table of queries over keys at the given places, on a device.</param>
internal sealed class SpanTables(Func<PositionSpan, PositionSpan, Device, Tensor> make) : IDisposable
{
    // Layers of a model may see different keys, and training repeats its shapes; decoding never does.
    private const int Kept = 4;
    private readonly Dictionary<(PositionSpan, PositionSpan, (DeviceType, int)), Tensor> tables = [];

    /// <summary>The table; a handle of the caller's own scope.</summary>
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

    /// <summary>Frees all tables.</summary>
    public void Dispose()
    {
        foreach (Tensor table in tables.Values) table.Dispose();
        tables.Clear();
    }
}
