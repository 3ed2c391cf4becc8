using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary><see cref="BandAttention"/> of a sequence to itself, from the one tensor that a projection makes of queries, keys and values: nothing is
/// split or copied, forward or backward.</summary>
/// <remarks>In bfloat16 products are bfloat16, scores, softmax and sums float32. On the CPU; ask <see cref="Runs"/>. Several threads may call it, and each call
/// gives the same bits every time. There is no second derivative.</remarks>
public static class PackedAttention
{
    /// <summary>Whether the processor allows it: AVX-512 and D a multiple of 16 for float32, its bfloat16 products and a multiple of 32 for bfloat16.</summary>
    /// <param name="width">Width of a head, D</param>
    /// <param name="type">Type of the packed tensor</param>
    public static bool Runs(long width, torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float32 => tn_packed_attention_runs(width, 0) != 0,
        torch.ScalarType.BFloat16 => tn_packed_attention_runs(width, 1) != 0,
        _ => false,
    };

    /// <summary>Attends.</summary>
    /// <param name="packed">(B, T, H + 2·G, D) = [H queries | G keys | G values], contiguous; H/G consecutive query heads share a key-value head</param>
    /// <param name="groups">Number of key-value heads, G</param>
    /// <param name="scale">Multiplies q·kᵀ</param>
    /// <param name="before">How many keys a query sees backwards, its own included; at least 1</param>
    /// <param name="after">How many further keys it sees; 0 for none</param>
    /// <param name="turns">How queries and keys are turned before; the packed tensor is then turned in place, and is of no use to others</param>
    /// <param name="dropout">Which weights are dropped</param>
    /// <param name="documents">As in <see cref="BandAttention.Attend"/></param>
    /// <returns>(B, T, H, D), of the packed tensor's type</returns>
    /// <exception cref="TorchException">It does not run with these.</exception>
    public static unsafe torch.Tensor Attend(
        torch.Tensor packed, long groups, double scale, long before = BandAttention.Unbounded, long after = 0, RotaryAngles? turns = null,
        KeyedDropout dropout = default, torch.Tensor? documents = null) =>
        Native.Own(
            tn_packed_attention(
                packed.handle, turns?.Table.handle ?? TensorHandle.Null, turns?.Turned ?? 0, turns?.Interleaved == true ? 1 : 0,
                documents?.handle ?? TensorHandle.Null, groups, scale, before, after, &dropout, out var result),
            result);
}
