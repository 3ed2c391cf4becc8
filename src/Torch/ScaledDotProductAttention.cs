using TorchSharp;
using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace Trainer.Torch;

/// <summary>softmax(q·kᵀ·scale + mask)·v with everything libtorch offers: scale, grouped heads, the choice and the report of the kernel.</summary>
/// <remarks>The choice goes through process-wide switches of libtorch: call it from one thread at a time.</remarks>
public static class ScaledDotProductAttention
{
    /// <summary>Attends.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="key">(B, H, S, D); (B, G, S, D) with <paramref name="enableGqa"/></param>
    /// <param name="value">As <paramref name="key"/></param>
    /// <param name="mask">Truth values (true: may see) or a bias, broadcast to (B, H, T, S)</param>
    /// <param name="dropout">Probability of dropping a weight</param>
    /// <param name="isCausal">Whether a position sees only itself and earlier ones</param>
    /// <param name="scale">Multiplies q·kᵀ; 1/√D if not given</param>
    /// <param name="enableGqa">Whether H/G consecutive query heads share a key-value head</param>
    /// <param name="backend">Required kernel, or <see cref="AttentionBackend.Auto"/></param>
    /// <returns>(B, H, T, D)</returns>
    /// <exception cref="TorchException">The shapes do not fit, or the required kernel cannot run with these inputs.</exception>
    public static torch.Tensor Attend(torch.Tensor query, torch.Tensor key, torch.Tensor value, torch.Tensor? mask = null,
        double dropout = 0, bool isCausal = false, double? scale = null, bool enableGqa = false,
        AttentionBackend backend = AttentionBackend.Auto) =>
        Native.Own(tn_sdpa(query.handle, key.handle, value.handle, mask?.handle ?? TensorHandle.Null, dropout,
            isCausal ? 1 : 0, Positive(scale), enableGqa ? 1 : 0, (int)backend, out var result), result);

    /// <summary>The kernel that libtorch would run for such a call, or <see cref="AttentionBackend.None"/>; nothing is computed.</summary>
    /// <inheritdoc cref="Attend"/>
    public static AttentionBackend Backend(torch.Tensor query, torch.Tensor key, torch.Tensor value, torch.Tensor? mask = null,
        double dropout = 0, bool isCausal = false, double? scale = null, bool enableGqa = false,
        AttentionBackend backend = AttentionBackend.Auto)
    {
        Native.Check(tn_sdpa_backend(query.handle, key.handle, value.handle, mask?.handle ?? TensorHandle.Null, dropout,
            isCausal ? 1 : 0, Positive(scale), enableGqa ? 1 : 0, (int)backend, out var result));
        return (AttentionBackend)result;
    }

    // 0 tells the shim that there is none.
    private static double Positive(double? scale) => scale switch
    {
        null => 0,
        > 0 => scale.Value,
        _ => throw new ArgumentOutOfRangeException(nameof(scale), scale, "The scale of attention has to be positive."),
    };
}
