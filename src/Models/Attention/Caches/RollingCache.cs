// Shapes: B batch, G heads of a cached tensor, T new positions, S cached and new positions, D width of a head.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Caches the tokens that a sliding window still sees, in order of position, and the sinks: constant memory.</summary>
/// <remarks>A full buffer moves the window to its front, a few times in a token's life.</remarks>
internal sealed class RollingCache : KeyValueCache
{
    private readonly KeyWindow window;
    private readonly int room;
    private Tensor keys;
    private Tensor values;
    private int rows; // filled: sinks, then the last positions
    private int length; // positions appended so far

    public RollingCache(CacheLayout layout, int batch, KeyWindow window, ScalarType dtype, Device device)
    {
        this.window = window;
        room = RowsFor(window);
        keys = Empty(layout.KeyHeads, layout.KeyDim);
        values = Empty(layout.ValueHeads, layout.ValueDim);

        // (B, G, room, D)
        Tensor Empty(int heads, int dim) => Constants.Own(() => zeros(batch, heads, room, dim, dtype: dtype, device: device));
    }

    public override long Bytes => keys.numel() * keys.element_size() + values.numel() * values.element_size();

    /// <summary>Sinks, a window, and a quarter of one so that moves are rare.</summary>
    public static int RowsFor(KeyWindow window) => window.Sinks + window.Window + Math.Max(16, window.Window / 4);

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Contents =>
        (keys.narrow(2, 0, rows), values.narrow(2, 0, rows), Span);

    public override (Tensor Key, Tensor Value, PositionSpan Positions) Append(Tensor key, Tensor value)
    {
        int added = (int)key.size(2);
        if (rows + added > room) Forget();
        return rows + added <= room ? Write(key, value, added) : PassThrough(key, value, added);
    }

    public override void Reorder(Tensor rows)
    {
        Replace(ref keys, Constants.Own(() => keys.index_select(0, rows.to(keys.device))));
        Replace(ref values, Constants.Own(() => values.index_select(0, rows.to(values.device))));
    }

    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }

    protected override KeyWindow? Kept => window;

    // Earlier tokens that the next one sees, besides the sinks.
    private int KeptRows => window.Window - 1;

    private int SinkRows => Math.Min(window.Sinks, length);

    private PositionSpan Span
    {
        get
        {
            int start = length - (rows - SinkRows);
            return start == SinkRows ? new(0, rows) : new(start, rows, SinkRows);
        }
    }

    private (Tensor Key, Tensor Value, PositionSpan Positions) Write(Tensor key, Tensor value, int added)
    {
        keys.narrow(2, rows, added).copy_(key);
        values.narrow(2, rows, added).copy_(value);
        rows += added;
        length += added;
        return Contents;
    }

    // More tokens at once than fit, as in a long prompt: all are returned, and the last ones kept.
    private (Tensor Key, Tensor Value, PositionSpan Positions) PassThrough(Tensor key, Tensor value, int added)
    {
        Tensor allKeys = cat([keys.narrow(2, 0, rows), key], 2), allValues = cat([values.narrow(2, 0, rows), value], 2); // (B, G, S, D)
        rows += added;
        length += added;
        PositionSpan span = Span;
        Keep(allKeys, keys);
        Keep(allValues, values);
        rows = SinkRows + KeptRows;
        return (allKeys, allValues, span);
    }

    private void Forget()
    {
        if (rows - SinkRows <= KeptRows) return;
        Keep(keys.narrow(2, 0, rows).clone(), keys);
        Keep(values.narrow(2, 0, rows).clone(), values);
        rows = SinkRows + KeptRows;
    }

    private void Keep(Tensor all, Tensor buffer)
    {
        buffer.narrow(2, 0, SinkRows).copy_(all.narrow(2, 0, SinkRows));
        buffer.narrow(2, SinkRows, KeptRows).copy_(all.narrow(2, all.size(2) - KeptRows, KeptRows));
    }

    private static void Replace(ref Tensor old, Tensor next)
    {
        old.Dispose();
        old = next;
    }
}
