// Shapes: B batch, G heads of a remembered tensor, T new positions, S positions remembered and new, D width of a head.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>Remembers the last tokens, which a sliding window still sees, and the first ones where they are sinks: memory of constant size.</summary>
/// <remarks>Tokens stand in the order of their positions. When the room is full, what the window has left behind is dropped and the
/// rest moved to the front, so that a token is moved a few times in its life, not at every step. Positions stay absolute.</remarks>
internal sealed class RollingCache : KeyValueCache
{
    private readonly Horizon horizon;
    private readonly int room;
    private Tensor first;
    private Tensor second;
    private int rows; // filled: sinks, then the last positions
    private int length; // positions appended so far

    /// <param name="layout">What is remembered of a token.</param>
    /// <param name="batch">Sequences, B.</param>
    /// <param name="horizon">How far back is seen.</param>
    /// <param name="dtype">The type keys and values are computed in.</param>
    /// <param name="device">Where.</param>
    public RollingCache(CacheLayout layout, int batch, Horizon horizon, ScalarType dtype, Device device)
    {
        this.horizon = horizon;
        room = RowsFor(horizon);
        first = Empty(layout.FirstHeads, layout.FirstDim);
        second = Empty(layout.SecondHeads, layout.SecondDim);

        Tensor Empty(int heads, int dim) => Constants.Own(() => zeros(batch, heads, room, dim, dtype: dtype, device: device)); // (B, G, room, D)
    }

    public override long Bytes => first.numel() * first.element_size() + second.numel() * second.element_size();

    /// <summary>Tokens there is room for: sinks, a window, and a quarter of one to move seldom.</summary>
    public static int RowsFor(Horizon horizon) => horizon.Sinks + horizon.Window + Math.Max(16, horizon.Window / 4);

    public override (Tensor First, Tensor Second, PositionSpan Positions) Remembered => (first.narrow(2, 0, rows), second.narrow(2, 0, rows), Span);

    public override (Tensor First, Tensor Second, PositionSpan Positions) Append(Tensor newFirst, Tensor newSecond)
    {
        int added = (int)newFirst.size(2);
        if (rows + added > room) Forget();
        return rows + added <= room ? Write(newFirst, newSecond, added) : Pass(newFirst, newSecond, added);
    }

    public override void Reorder(Tensor rows)
    {
        Replace(ref first, Constants.Own(() => first.index_select(0, rows.to(first.device))));
        Replace(ref second, Constants.Own(() => second.index_select(0, rows.to(second.device))));
    }

    public override void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }

    // What the next token still sees of the past beside the sinks.
    private int Kept => horizon.Window - 1;

    private int SinkRows => Math.Min(horizon.Sinks, length);

    private PositionSpan Span
    {
        get
        {
            int start = length - (rows - SinkRows);
            return start == SinkRows ? new(0, rows) : new(start, rows, SinkRows);
        }
    }

    private (Tensor First, Tensor Second, PositionSpan Positions) Write(Tensor newFirst, Tensor newSecond, int added)
    {
        first.narrow(2, rows, added).copy_(newFirst);
        second.narrow(2, rows, added).copy_(newSecond);
        rows += added;
        length += added;
        return Remembered;
    }

    // More tokens at once than there is room for, as a long prompt: they are seen all together, then only the last are kept.
    private (Tensor First, Tensor Second, PositionSpan Positions) Pass(Tensor newFirst, Tensor newSecond, int added)
    {
        Tensor allFirst = cat([first.narrow(2, 0, rows), newFirst], 2), allSecond = cat([second.narrow(2, 0, rows), newSecond], 2); // (B, G, S, D)
        rows += added;
        length += added;
        PositionSpan span = Span;
        Keep(allFirst, first);
        Keep(allSecond, second);
        rows = SinkRows + Kept;
        return (allFirst, allSecond, span);
    }

    private void Forget()
    {
        if (rows - SinkRows <= Kept) return;
        Keep(first.narrow(2, 0, rows).clone(), first);
        Keep(second.narrow(2, 0, rows).clone(), second);
        rows = SinkRows + Kept;
    }

    private void Keep(Tensor all, Tensor buffer)
    {
        buffer.narrow(2, 0, SinkRows).copy_(all.narrow(2, 0, SinkRows));
        buffer.narrow(2, SinkRows, Kept).copy_(all.narrow(2, all.size(2) - Kept, Kept));
    }

    private static void Replace(ref Tensor old, Tensor next)
    {
        old.Dispose();
        old = next;
    }
}
