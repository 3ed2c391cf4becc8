// Shapes: B batch, S positions of the source, G key-value heads, D head dimension.
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>An encoder's keys and values, constant while decoding.</summary>
internal sealed class CrossState : LayerState
{
    /// <summary>Copies (B, G, S, D) each, and the padding (B, S), −1 for padding; null for none.</summary>
    public CrossState(Tensor key, Tensor value, Tensor? padding)
    {
        Key = Constants.Own(key.contiguous().clone);
        Value = Constants.Own(value.contiguous().clone);
        Documents = padding is null ? null : new(null, Constants.Own(padding.clone));
    }

    public Tensor Key { get; private set; } // (B, G, S, D)

    public Tensor Value { get; private set; }

    public DocumentIds? Documents { get; private set; }

    public override long Bytes => Key.numel() * Key.element_size() + Value.numel() * Value.element_size();

    public override void Reorder(Tensor rows)
    {
        Key = Replaced(Key, rows);
        Value = Replaced(Value, rows);
        if (Documents is not { } documents) return;
        Documents = new(null, Chosen(documents.Keys, rows));
        documents.Dispose();
    }

    /// <summary>Sources of different lengths are padded to the longest.</summary>
    public override LayerState AppendTo(LayerState? batch)
    {
        if (batch is not CrossState rows) return new CrossState(Key, Value, Documents?.Keys);
        long length = Math.Max(rows.Key.size(2), Key.size(2));
        CrossState joined = new(
            cat([Padded(rows.Key, length), Padded(Key, length)], 0), cat([Padded(rows.Value, length), Padded(Value, length)], 0),
            cat([rows.Padding(length), Padding(length)], 0));
        rows.Dispose();
        return joined;
    }

    public override void Dispose()
    {
        Key.Dispose();
        Value.Dispose();
        Documents?.Dispose();
    }

    // (B, length), 0 for positions of the source and −1 for padding.
    private Tensor Padding(long length)
    {
        Tensor ids = Documents?.Keys ?? zeros([Key.size(0), Key.size(2)], ScalarType.Int64, Key.device);
        return cat([ids, full([ids.size(0), length - ids.size(1)], -1, ScalarType.Int64, ids.device)], 1);
    }

    private static Tensor Padded(Tensor heads, long length) => // (B, G, S, D) → (B, G, length, D)
        cat([heads, zeros([heads.size(0), heads.size(1), length - heads.size(2), heads.size(3)], heads.dtype, heads.device)], 2);

    private static Tensor Replaced(Tensor old, Tensor rows)
    {
        Tensor chosen = Chosen(old, rows);
        old.Dispose();
        return chosen;
    }

    private static Tensor Chosen(Tensor old, Tensor rows) => Constants.Own(() => old.index_select(0, rows.to(old.device)));
}
