// Shapes: B batch, S positions of the source, G key-value heads, D head dimension.
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>Keys and values of an encoder's output, and which of them are padding. They do not grow while decoding goes on.</summary>
internal sealed class CrossState : LayerState
{
    private Tensor? padding;

    /// <param name="key">(B, G, S, D)</param>
    /// <param name="value">(B, G, S, D)</param>
    /// <param name="padding">(B, S), −1 where there is none; null where there is no padding.</param>
    public CrossState(Tensor key, Tensor value, Tensor? padding)
    {
        Key = Constants.Own(key.contiguous().clone);
        Value = Constants.Own(value.contiguous().clone);
        this.padding = padding is null ? null : Constants.Own(padding.clone);
        Documents = NewDocuments();
    }

    /// <summary>(B, G, S, D)</summary>
    public Tensor Key { get; private set; }

    /// <summary>(B, G, S, D)</summary>
    public Tensor Value { get; private set; }

    /// <summary>Which keys are padding; null where none is.</summary>
    public DocumentIds? Documents { get; private set; }

    public override long Bytes => Key.numel() * Key.element_size() + Value.numel() * Value.element_size();

    public override void Reorder(Tensor rows)
    {
        Key = Replaced(Key, rows);
        Value = Replaced(Value, rows);
        Documents?.Dispose();
        if (padding is not null) padding = Replaced(padding, rows);
        Documents = NewDocuments();
    }

    public override void Dispose()
    {
        Key.Dispose();
        Value.Dispose();
        Documents?.Dispose();
        padding?.Dispose();
    }

    private DocumentIds? NewDocuments() => padding is null ? null : new(null, padding);

    private static Tensor Replaced(Tensor old, Tensor rows)
    {
        Tensor chosen = Constants.Own(() => old.index_select(0, rows.to(old.device)));
        old.Dispose();
        return chosen;
    }
}
