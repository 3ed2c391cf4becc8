using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>softmax(scale·q·kᵀ)·v where query i sees the keys j with i − before &lt; j ≤ i + after: everything, a causal past, or a sliding
/// window. What lies outside is never computed, and nothing of the size of the scores is kept (Dao et al. 2022, arXiv 2205.14135).</summary>
/// <remarks>Float32 on processors with AVX-512; ask <see cref="Runs"/>. Several threads may call it, and each call gives the same bits every
/// time. There is no second derivative.</remarks>
public static class BandAttention
{
    /// <summary>Enough for every key, as <c>before</c> or <c>after</c>.</summary>
    public const long Unbounded = 1L << 40;

    /// <summary>Whether the processor and these inputs allow it: float32 on the CPU, keys shaped as values, D a multiple of 16.</summary>
    /// <inheritdoc cref="Attend"/>
    public static bool Runs(torch.Tensor query, torch.Tensor key, torch.Tensor value)
    {
        Native.Check(tn_band_attention_runs(query.handle, key.handle, value.handle, out int runs));
        return runs != 0;
    }

    /// <summary>Attends.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="key">(B, G, S, D); H/G consecutive query heads share a key-value head</param>
    /// <param name="value">(B, G, S, D)</param>
    /// <param name="scale">Multiplies q·kᵀ</param>
    /// <param name="before">How many keys a query sees backwards, its own included; at least 1</param>
    /// <param name="after">How many further keys it sees; 0 for none</param>
    /// <param name="dropout">Which weights are dropped</param>
    /// <param name="documents">The keys [from, to) of each query's document, (B, T, 2), int32, contiguous: neither is less than that of the query before, and no
    /// query sees others; null where all of a sequence are one document</param>
    /// <returns>(B, H, T, D)</returns>
    /// <exception cref="TorchException">It does not run with these.</exception>
    public static unsafe torch.Tensor Attend(
        torch.Tensor query, torch.Tensor key, torch.Tensor value, double scale, long before = Unbounded, long after = 0, KeyedDropout dropout = default,
        torch.Tensor? documents = null) =>
        Native.Own(tn_band_attention(query.handle, key.handle, value.handle, documents?.handle ?? TensorHandle.Null, scale, before, after, &dropout, out var result), result);
}
