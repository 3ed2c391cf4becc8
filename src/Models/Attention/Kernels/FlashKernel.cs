// Shapes: B batch, T new positions, S visible positions, H query heads, G key-value heads, D head dimension.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Flash attention: O(T) memory (Dao et al. 2022, arXiv 2205.14135).</summary>
/// <remarks>On a CPU <see cref="FlashAttention"/> if it supports the call. Otherwise libtorch chooses: its CPU flash
/// kernel; on CUDA FlashAttention-2 for bfloat16, the memory-efficient kernel for float32. <c>WhyUnsupported</c> refuses
/// calls for its O(T²) math kernel.</remarks>
internal sealed class FlashKernel : IAttentionKernel
{
    /// <summary>The widest head that libtorch's kernels support.</summary>
    public const int LargestHead = 256;

    public string Name => "flash";

    public string? WhyUnsupported(AttentionOptions options, int headDim) =>
        options.SoftCap is not null
            ? "flash cannot bound scores (softCap); use kernel 'reference', or leave softCap out"
        : headDim > LargestHead
            ? $"flash takes head dimensions up to {LargestHead}, and dim / heads is {headDim}; use more heads or kernel 'reference'"
        : options.ResolvedPattern.Build().Shape == PatternShape.Masked
            ? $"flash computes the patterns full and causal, not '{options.ResolvedPattern.Type}'; use kernel 'block-sparse'"
        : null;

    public string? WhyUnsupported(in AttentionCall call)
    {
        if (call.Bias is not null)
            return "flash cannot add these positions' bias to the scores; set kernel to 'auto' or 'reference', or position to 'rotary'";
        if (call.Dropout.Probability > 0 && call.Query.device.type == DeviceType.CPU && !call.IsSimdSupported)
            return $"on the CPU flash drops attention weights (dropout {call.Dropout.Probability}) only of {AttentionCall.FewestRows} " +
                "or more positions, each document of them in one piece, in heads whose width is a multiple of 8, on a processor with " +
                "AVX2 or NEON; set dropout to 0, or kernel to 'auto' or 'reference'";
        AttentionBackend backend = Backend(call);
        return backend is AttentionBackend.Simd or AttentionBackend.Flash or AttentionBackend.Efficient or AttentionBackend.CuDnn
            ? null
            : $"libtorch has no fused attention for head dimension {call.Query.shape[3]} in {call.Query.dtype} on " +
                $"{call.Query.device}{Limits(call)}; set kernel to 'auto' or 'reference'";
    }

    private static string Limits(in AttentionCall call) => call.Query.device_type != DeviceType.CUDA ? ""
        : call.Query.dtype == ScalarType.Float32 ? " (float32 needs a head dimension that is a multiple of 4)"
        : " (bfloat16 needs a GPU of compute capability 8.0 or newer)";

    public Tensor Attend(in AttentionCall call)
    {
        if (call.IsSimdSupported) return call.AttendSimd();
        if (FoldsSharing(call)) return AttendFolded(call);
        Inputs inputs = Prepare(call);
        return ScaledDotProductAttention.Attend(
            inputs.Query, inputs.Key, inputs.Value, inputs.Mask, call.Dropout.Probability, call.IsSquareCausal, call.Scale, inputs.Grouped,
            Required(call));
    }

    public static AttentionBackend Backend(in AttentionCall call)
    {
        if (call.IsSimdSupported) return AttentionBackend.Simd;
        Tensor? mask = MaskOf(call);
        bool grouped = TakesGroups(call, mask);
        // The answer depends on shapes and types alone, so a view of one head stands for repeated heads.
        Tensor key = grouped ? call.Key : Stretched(call.Key, call), value = grouped ? call.Value : Stretched(call.Value, call);
        return ScaledDotProductAttention.Backend(
            call.Query, key, value, mask, call.Dropout.Probability, call.IsSquareCausal, call.Scale, grouped);
    }

    // Where every query sees the same keys, the query heads that share a key head can stand as further queries of that head,
    // which makes decoding one token at a time free of copies of the cache.
    private static bool FoldsSharing(in AttentionCall call) => call.Sharing > 1 && (call.SeesEverything || call.Queries.Count == 1);

    private static Tensor AttendFolded(in AttentionCall call)
    {
        long[] shape = call.Query.shape;
        Tensor query = call.Query.reshape(shape[0], call.Key.shape[1], call.Sharing * shape[2], shape[3]); // (B, G, H/G·T, D)
        Tensor result = ScaledDotProductAttention.Attend(
            query, call.Key, call.Value, MaskOf(call), call.Dropout.Probability, scale: call.Scale, backend: Required(call));
        return result.reshape(shape[0], shape[1], shape[2], shape[3]); // (B, H, T, D)
    }

    private static Inputs Prepare(in AttentionCall call)
    {
        Tensor? mask = MaskOf(call);
        return TakesGroups(call, mask)
            ? new(call.Query, call.Key, call.Value, mask, true)
            : new(call.Query, KeyValueHeads.Repeat(call.Key, call.Sharing), KeyValueHeads.Repeat(call.Value, call.Sharing), mask, false);
    }

    // What WhyUnsupported was told of one call holds for all of its kind on a CPU. On CUDA libtorch also looks at strides, gradients and
    // the GPU: there each call says again that the math kernel will not do.
    private static AttentionBackend Required(in AttentionCall call) =>
        call.Query.device_type == DeviceType.CUDA ? AttentionBackend.Fused : AttentionBackend.Auto;

    private static Tensor? MaskOf(in AttentionCall call) => call.IsSquareCausal || call.SeesEverything ? null
        : call.Query.device_type == DeviceType.CUDA ? call.AdditiveMask()
        : call.Mask();

    private static Tensor Stretched(Tensor heads, in AttentionCall call) =>
        call.Sharing == 1 ? heads : heads.narrow(1, 0, 1).expand(-1, call.Query.size(1), -1, -1); // (B, G, S, D) → (B, H, S, D)

    // Only FlashAttention-2 on CUDA reads shared heads in place: the CPU kernel and the memory-efficient one refuse them,
    // and libtorch would take its O(T²) math kernel.
    private static bool TakesGroups(in AttentionCall call, Tensor? mask) =>
        call.Sharing > 1 && mask is null && call.Query.device.type == DeviceType.CUDA
            && (call.Query.dtype is ScalarType.BFloat16 or ScalarType.Float16);

    private readonly record struct Inputs(Tensor Query, Tensor Key, Tensor Value, Tensor? Mask, bool Grouped);
}
