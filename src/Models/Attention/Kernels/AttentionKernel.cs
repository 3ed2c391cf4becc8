// Shapes: B batch, T query positions, S key positions, H query heads, D head dimension.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>The kernel a configuration asks for.</summary>
/// <remarks>A new kernel is its own file, a member here and a line in <see cref="KernelSelection"/>.</remarks>
[JsonConverter(typeof(JsonStringEnumConverter<AttentionKernel>))]
public enum AttentionKernel
{
    /// <summary>The fastest kernel that can run each call.</summary>
    [JsonStringEnumMemberName("auto")]
    Auto,

    /// <summary>The specification, step by step.</summary>
    [JsonStringEnumMemberName("reference")]
    Reference,

    /// <summary>libtorch's fused attention; an error where it cannot run.</summary>
    [JsonStringEnumMemberName("flash")]
    Flash,

    /// <summary>Only the pairs that the pattern lets see each other, tile by tile.</summary>
    [JsonStringEnumMemberName("block-sparse")]
    BlockSparse,

    /// <summary>Linear attention, which is another function than softmax attention.</summary>
    [JsonStringEnumMemberName("linear")]
    Linear,
}

/// <summary>One way of computing softmax(QKᵀ)V.</summary>
/// <remarks>The reference kernel is the specification; every other is tested equal to it.</remarks>
internal interface IAttentionKernel
{
    /// <summary>The name in a configuration.</summary>
    string Name { get; }

    /// <summary>Why the kernel can never run for a configuration, with what to do instead; null when it can.</summary>
    /// <param name="options">The attention.</param>
    /// <param name="headDim">Width of a head, D.</param>
    string? RefusesConfiguration(AttentionOptions options, int headDim);

    /// <summary>Why the kernel cannot run this call on this device, with what to do instead; null when it can.</summary>
    string? RefusesCall(in AttentionCall call);

    /// <summary>Whether <c>auto</c> takes the kernel for a call that it can run, rather than one further down the list.</summary>
    bool Pays(in AttentionCall call) => true;

    /// <summary>Computes attention.</summary>
    /// <returns>(B, H, T, D)</returns>
    Tensor Attend(in AttentionCall call);

    /// <summary>How much each query looks at each key, for those who want to see it: (B, H, T, S), float32.</summary>
    Tensor Weights(in AttentionCall call) => ReferenceKernel.Weights(call);
}

/// <summary>Finds the kernel for a call: the one demanded, or the fastest that can.</summary>
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

    /// <summary>Problems of demanding a kernel that can never run for these options.</summary>
    public static IEnumerable<Problem> Problems(AttentionOptions options, int headDim)
    {
        if (options.Kernel == AttentionKernel.Auto) return [];
        string? refusal = Find(options.Kernel).RefusesConfiguration(options, headDim);
        return refusal is null ? [] : [new("kernel", refusal)];
    }

    /// <summary>The kernel that computes a call.</summary>
    /// <exception cref="UserException">The demanded kernel cannot, with the reason.</exception>
    public static IAttentionKernel Choose(AttentionOptions options, int headDim, in AttentionCall call)
    {
        if (options.Kernel == AttentionKernel.Auto) return Fastest(options, headDim, call);
        IAttentionKernel demanded = Find(options.Kernel);
        string? refusal = demanded.RefusesConfiguration(options, headDim) ?? demanded.RefusesCall(call);
        return refusal is null ? demanded : throw new UserException($"model.attention.kernel: {refusal}");
    }

    private static IAttentionKernel Find(AttentionKernel kernel) => Kernels.First(entry => entry.Kernel == kernel).Implementation;

    private static IAttentionKernel Fastest(AttentionOptions options, int headDim, in AttentionCall call)
    {
        foreach ((_, IAttentionKernel kernel) in Kernels)
        {
            if (kernel.RefusesConfiguration(options, headDim) is null && kernel.RefusesCall(call) is null && kernel.Pays(call)) return kernel;
        }
        return Reference;
    }
}
