using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>softmax(q·kᵀ·scale + mask)·v by libtorch, with the choice of its kernel.</summary>
/// <remarks>Requiring a kernel goes through process-wide switches of libtorch: do that on one thread at a time.</remarks>
public static class ScaledDotProductAttention
{
    /// <summary>Attention of a query (B, H, T, D) to key and value (B, H, S, D), or (B, G, S, D) with enableGqa, where H/G consecutive
    /// query heads share a key-value head: (B, H, T, D). The mask is boolean, true where visible, or a bias, broadcast to (B, H, T, S); the
    /// scale is 1/√D by default.</summary>
    /// <exception cref="TorchException">The shapes do not fit, or the required kernel cannot run with these inputs.</exception>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask = null,
        double dropout = 0, bool isCausal = false, double? scale = null, bool enableGqa = false,
        AttentionBackend backend = AttentionBackend.Auto)
    {
        CheckScale(scale);
        if (backend == AttentionBackend.Math)
            return Aten._scaled_dot_product_attention_math(query, key, value, mask, dropout, isCausal, scale, enableGqa);
        using OnlyBackend only = new(backend);
        if (backend != AttentionBackend.Auto)
        {
            AttentionBackend chosen = Choice(query, key, value, mask, dropout, isCausal, scale, enableGqa);
            if (backend == AttentionBackend.Fused ? chosen is AttentionBackend.Math or AttentionBackend.None : chosen != backend)
                throw new TorchException("the required attention backend cannot run with these inputs " +
                    $"(query {query.ShapeText} {query.dtype} on {query.device}, key {key.ShapeText}, " +
                    $"mask {(mask is null ? "none" : mask.requires_grad ? "given, and it needs a gradient" : "given")}, " +
                    $"dropout {dropout}, enable_gqa {(enableGqa ? 1 : 0)}); libtorch would take {chosen}");
        }
        return Aten.scaled_dot_product_attention(query, key, value, mask, dropout, isCausal, scale, enableGqa);
    }

    /// <summary>The kernel that libtorch would run for such a call; nothing is computed.</summary>
    public static AttentionBackend Backend(Tensor query, Tensor key, Tensor value, Tensor? mask = null,
        double dropout = 0, bool isCausal = false, double? scale = null, bool enableGqa = false,
        AttentionBackend backend = AttentionBackend.Auto)
    {
        CheckScale(scale);
        using OnlyBackend only = new(backend);
        return Choice(query, key, value, mask, dropout, isCausal, scale, enableGqa);
    }

    private static AttentionBackend Choice(
        Tensor query, Tensor key, Tensor value, Tensor? mask, double dropout, bool isCausal, double? scale, bool enableGqa) =>
        (AttentionBackend)(Aten._fused_sdp_choice(query, key, value, mask, dropout, isCausal, scale, enableGqa)
            ?? (long)AttentionBackend.None);

    private static void CheckScale(double? scale)
    {
        if (scale is <= 0) throw new ArgumentOutOfRangeException(nameof(scale), scale, "The scale of attention has to be positive.");
    }

    /// <summary>Leaves only one backend enabled until disposed.</summary>
    private readonly struct OnlyBackend : IDisposable
    {
        private readonly AttentionBackends? previous;

        public OnlyBackend(AttentionBackend backend)
        {
            if (backend is AttentionBackend.Auto or AttentionBackend.Fused) return;
            previous = TorchContext.EnabledAttention;
            TorchContext.EnabledAttention = backend switch
            {
                AttentionBackend.Flash => AttentionBackends.Flash,
                AttentionBackend.Efficient => AttentionBackends.MemEfficient,
                AttentionBackend.Math => AttentionBackends.Math,
                AttentionBackend.CuDnn => AttentionBackends.CuDNN,
                _ => 0,
            };
        }

        public void Dispose()
        {
            if (previous is { } enabled) TorchContext.EnabledAttention = enabled;
        }
    }
}
