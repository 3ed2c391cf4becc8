// Shapes: B batch, T new positions, H query heads, G key-value heads, D width of a key, E width of a value.
using Trainer.Models.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Caches;

/// <summary>The state of linear attention: one float32 sum for each head, of constant size.</summary>
internal sealed class LinearState : LayerState
{
    private Tensor? sum; // (B, G, D, E+1), float32

    public override long Bytes => sum is null ? 0 : sum.numel() * sum.element_size();

    public static long BytesFor(CacheLayout layout) => 4L * layout.KeyHeads * layout.KeyDim * (layout.ValueDim + 1);

    /// <summary>Adds new tokens and attends to all: (B, H, T, D), (B, G, T, D), (B, G, T, E) → (B, H, T, E).</summary>
    public Tensor Attend(Tensor query, Tensor key, Tensor value)
    {
        (Tensor result, Tensor after) = LinearAttention.Causal(query, key, value, sum);
        Replace(Constants.Own(after.clone));
        return result;
    }

    public override void Reorder(Tensor rows)
    {
        if (sum is { } old) Replace(Constants.Own(() => old.index_select(0, rows.to(old.device))));
    }

    public override LayerState AppendTo(LayerState? batch) => new LinearState { sum = Joined(((LinearState?)batch)?.sum, sum!) };

    public override void Dispose() => sum?.Dispose();

    private void Replace(Tensor next)
    {
        sum?.Dispose();
        sum = next;
    }
}
