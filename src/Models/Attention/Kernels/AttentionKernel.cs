// Shapes: B batch, T query positions, S key positions, H query heads, D head dimension.
using System.Collections.Concurrent;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>The kernel of attention. A new one is one file, a member here and a line in <see cref="KernelSelection"/>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionKernel>))]
public enum AttentionKernel
{
    /// <summary>The fastest kernel that supports the call.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The specification, step by step.</summary>
    [JsonStringEnumMemberName("reference")]
    Reference,

    /// <summary>libtorch's fused attention; an error where it cannot run.</summary>
    [JsonStringEnumMemberName("flash")]
    Flash,

    /// <summary>Only visible pairs, tile by tile.</summary>
    [JsonStringEnumMemberName("block-sparse")]
    BlockSparse,

    /// <summary>Linear attention, which is not softmax attention.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,
}

/// <summary>Computes softmax(QKᵀ)V; every kernel is tested against <see cref="ReferenceKernel"/>.</summary>
internal interface IAttentionKernel
{
    string Name { get; }

    /// <summary>Why the kernel never supports a configuration, with what to do instead; null if it does.</summary>
    string? WhyUnsupported(AttentionOptions options, int headDim);

    /// <summary>Why the kernel does not support this call on this device, with what to do instead; null if it does.</summary>
    string? WhyUnsupported(in AttentionCall call);

    bool IsSupported(AttentionOptions options, int headDim, in AttentionCall call) =>
        WhyUnsupported(options, headDim) is null && WhyUnsupported(call) is null;

    /// <summary>Whether <c>auto</c> takes the kernel for a call that it supports.</summary>
    bool IsPreferred(in AttentionCall call) => true;

    Tensor Attend(in AttentionCall call); // (B, H, T, D)

    Tensor Weights(in AttentionCall call) => ReferenceKernel.Weights(call); // (B, H, T, S), float32
}

internal static class KernelSelection
{
    private static readonly ReferenceKernel Reference = new();

    // Fastest first; the reference takes everything.
    private static readonly (AttentionKernel Kernel, IAttentionKernel Implementation)[] Kernels =
    [
        (AttentionKernel.Flash, new FlashKernel()),
        (AttentionKernel.BlockSparse, new BlockSparseKernel()),
        (AttentionKernel.Reference, Reference),
        (AttentionKernel.Linear, new LinearKernel()),
    ];

    public static IEnumerable<Problem> Problems(AttentionOptions options, int headDim)
    {
        if (options.Kernel == AttentionKernel.Auto) return [];
        string? refusal = Find(options.Kernel).WhyUnsupported(options, headDim);
        return refusal is null ? [] : [new("kernel", refusal)];
    }

    public static IAttentionKernel Choose(AttentionOptions options, int headDim, in AttentionCall call)
    {
        if (options.Kernel == AttentionKernel.Auto) return Fastest(options, headDim, call);
        IAttentionKernel demanded = Find(options.Kernel);
        string? refusal = demanded.WhyUnsupported(options, headDim) ?? demanded.WhyUnsupported(call);
        return refusal is null ? demanded : throw new UserException($"model.attention.kernel: {refusal}");
    }

    private static IAttentionKernel Find(AttentionKernel kernel) => Kernels.First(entry => entry.Kernel == kernel).Implementation;

    private static IAttentionKernel Fastest(AttentionOptions options, int headDim, in AttentionCall call)
    {
        foreach ((_, IAttentionKernel kernel) in Kernels)
        {
            if (kernel.IsSupported(options, headDim, call) && kernel.IsPreferred(call)) return kernel;
        }
        return Reference;
    }
}

/// <summary>Caches the choice for each kind of call: asking libtorch costs more than a small model's attention. Thread-safe.</summary>
internal sealed class LayerKernels(AttentionOptions options, int headDim)
{
    private readonly ConcurrentDictionary<CallKind, IAttentionKernel> chosen = [];

    public IAttentionKernel For(in AttentionCall call)
    {
        CallKind kind = new(
            call.Query.device.type, call.Query.dtype, call.Query.size(3), call.Dropout.Probability > 0, call.IsSquareCausal,
            call.SeesEverything, call.Bias is not null, call.Documents is not null, call.Spans is not null, call.IsLong,
            call.Queries.Count < AttentionCall.FewestRows, call.HasGpuBackward);
        if (chosen.TryGetValue(kind, out IAttentionKernel? kernel)) return kernel;
        return chosen[kind] = KernelSelection.Choose(options, headDim, call);
    }

    // What decides which kernels support a call.
    private readonly record struct CallKind(
        DeviceType Device, ScalarType Type, long Width, bool Drops, bool SquareCausal, bool SeesEverything, bool Biased, bool Documents,
        bool Contiguous, bool Long, bool Few, bool GpuBackward);
}
