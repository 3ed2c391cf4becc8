using Trainer.Configuration;
using Trainer.Kernels;

namespace Trainer.Transformers.Attention.Kernels;

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

    /// <summary>The kernel a training step is expected to use, for estimates made without a device.</summary>
    /// <param name="options">The attention.</param>
    /// <param name="headDim">Width of a head, D.</param>
    /// <param name="biased">Whether positions add to the scores.</param>
    /// <param name="drops">Whether weights are dropped, which on a CPU without <see cref="FlashAttention"/> only the reference does.</param>
    public static IAttentionKernel Expected(AttentionOptions options, int headDim, bool biased, bool drops) =>
        options.Kernel != AttentionKernel.Auto ? Find(options.Kernel)
        : biased || (drops && !FlashAttention.IsSupported(headDim, TorchSharp.torch.ScalarType.Float32)) ? Reference
        : Kernels.First(entry => entry.Implementation.RefusesConfiguration(options, headDim) is null).Implementation;

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
