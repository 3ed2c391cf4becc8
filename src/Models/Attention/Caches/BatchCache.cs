// Shapes: B batch, G heads of a cached tensor, S slots, D width of a head.
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>The keys and values of sequences of different lengths, padded to the longest.</summary>
/// <remarks>A slot is a position. With a window there are no more slots than a token sees: those after the sinks are a ring.</remarks>
internal sealed class BatchCache : LayerState
{
    /// <summary>Slots that are added at a time, so that each is copied a few times only.</summary>
    public const int Growth = 128;

    private readonly KeyWindow? window;
    private Tensor keys; // (B, G, S, D)
    private Tensor values;

    /// <summary>An empty one.</summary>
    /// <param name="key">One with the same heads, width, type and device, (…, G, …, D).</param>
    /// <param name="value">The same of values.</param>
    /// <param name="window">What is kept; null for every token.</param>
    public BatchCache(Tensor key, Tensor value, KeyWindow? window)
    {
        this.window = window;
        keys = Constants.Own(() => Zeros(key, rows: 0, slots: 0));
        values = Constants.Own(() => Zeros(value, rows: 0, slots: 0));
    }

    public override long Bytes => keys.numel() * keys.element_size() + values.numel() * values.element_size();

    /// <summary>The slots of sequences of up to so many positions where all are kept.</summary>
    public static int SlotsFor(int positions) => (positions + Growth - 1) / Growth * Growth;

    /// <summary>Adds sequences of equal length with the keys and values (B, G, …, D) of their positions.</summary>
    public void Join(Tensor key, Tensor value, PositionSpan positions)
    {
        Resize(Math.Max((int)keys.size(2), Room(positions.End)));
        int[] kept = [.. Kept(positions.End)];
        Tensor from = tensor([.. kept.Select(position => (long)positions.RowOf(position))], dtype: ScalarType.Int64).to(key.device);
        Tensor to = tensor([.. kept.Select(position => (long)Slot(position))], dtype: ScalarType.Int64).to(key.device);
        keys = Joined(keys, Placed(key, keys));
        values = Joined(values, Placed(value, values));

        Tensor Placed(Tensor heads, Tensor like) =>
            Zeros(like, heads.size(0), like.size(2)).index_copy_(2, to, heads.index_select(2, from)); // (B, G, S, D)
    }

    /// <summary>Adds a token to each sequence, (B, G, 1, D); returns all that they may see, as views that are valid until the next
    /// call.</summary>
    public (Tensor Key, Tensor Value, RowPositions Positions) Append(Tensor key, Tensor value, AttentionContext context)
    {
        Resize(Room(context.PositionLimit)); // less where long sequences have left
        Tensor slots = context.Shared((nameof(BatchCache), window), () => Slots(context.Positions!)); // (B, 1)
        Write(keys, key);
        Write(values, value);
        int used = Math.Min(context.PositionLimit, (int)keys.size(2));
        return (keys.narrow(2, 0, used), values.narrow(2, 0, used), new(context, window, used));

        void Write(Tensor to, Tensor heads)
        {
            if (heads.numel() > 0) to.scatter_(2, slots.view(-1, 1, 1, 1).expand(heads.shape), heads.to_type(to.dtype));
        }
    }

    public override void Reorder(Tensor rows)
    {
        Replace(ref keys, Constants.Own(() => keys.index_select(0, rows.to(keys.device))));
        Replace(ref values, Constants.Own(() => values.index_select(0, rows.to(values.device))));
    }

    public override LayerState AppendTo(LayerState? batch) => throw new NotSupportedException("A batch does not join another.");

    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
    }

    private int Room(int positions) =>
        window is { } seen ? (int)Math.Min(SlotsFor(positions), (long)seen.Sinks + seen.Window) : SlotsFor(positions);

    // Of so many positions, those that the next one sees.
    private IEnumerable<int> Kept(int positions)
    {
        if (window is not { } seen) return Enumerable.Range(0, positions);
        int sinks = Math.Min(seen.Sinks, positions), first = Math.Max(sinks, positions - seen.Window + 1);
        return [.. Enumerable.Range(0, sinks), .. Enumerable.Range(first, positions - first)];
    }

    private int Slot(int position) => window is { } seen && position >= seen.Sinks
        ? seen.Sinks + (position - seen.Sinks) % seen.Window
        : position;

    private Tensor Slots(Tensor positions) => window is { } seen // as Slot
        ? positions.where(positions.lt(seen.Sinks), positions.sub(seen.Sinks).remainder(seen.Window).add(seen.Sinks))
        : positions.alias();

    private void Resize(int slots)
    {
        if (slots == keys.size(2)) return;
        Replace(ref keys, Resized(keys));
        Replace(ref values, Resized(values));

        Tensor Resized(Tensor old) => Constants.Own(() =>
        {
            Tensor room = Zeros(old, old.size(0), slots);
            long common = Math.Min(slots, old.size(2));
            room.narrow(2, 0, common).copy_(old.narrow(2, 0, common));
            return room;
        });
    }

    private static Tensor Zeros(Tensor like, long rows, long slots) =>
        zeros(rows, like.size(1), slots, like.size(3), dtype: like.dtype, device: like.device);

    private static void Replace(ref Tensor old, Tensor next)
    {
        old.Dispose();
        old = next;
    }
}

/// <summary>Where the sequences of a batch stand, and the positions of the keys beside them; layers share the tensors.</summary>
internal sealed record RowPositions(AttentionContext Context, KeyWindow? Window, int Slots)
{
    public Tensor Queries => Context.Positions!.unsqueeze(2); // (B, 1, 1)

    /// <summary>(1|B, 1, S), the row's own or later ones where it has no such key, −1 where a ring is not filled.</summary>
    public Tensor Keys => Context.Shared((nameof(Keys), Window), () =>
    {
        Tensor slots = arange(Slots, dtype: ScalarType.Int64, device: Context.Positions!.device).view(1, 1, -1);
        if (Window is not { } seen) return slots;
        // The last position up to the query's that falls into the slot.
        Tensor last = Queries.sub(Queries.sub(slots).remainder(seen.Window)); // (B, 1, S)
        return slots.where(slots.lt(seen.Sinks), last.where(last.ge(seen.Sinks), full_like(last, -1)));
    });

    /// <summary>Bool, true where visible: (B, 1, 1, S).</summary>
    public Tensor Mask(AttentionPattern pattern) => Context.Shared((pattern, Window), () =>
    {
        Tensor visible = pattern.Visible(Queries, Keys); // (B, 1, S)
        return (Window is null ? visible : visible.logical_and(Keys.ge(0))).unsqueeze(1);
    });
}
