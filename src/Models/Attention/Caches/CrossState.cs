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

    public override void Dispose()
    {
        Key.Dispose();
        Value.Dispose();
        Documents?.Dispose();
    }

    private static Tensor Replaced(Tensor old, Tensor rows)
    {
        Tensor chosen = Chosen(old, rows);
        old.Dispose();
        return chosen;
    }

    private static Tensor Chosen(Tensor old, Tensor rows) => Constants.Own(() => old.index_select(0, rows.to(old.device)));
}
