using static TorchSharp.torch;

namespace Trainer.Transformers.Attention.Kernels;

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

    /// <summary>Numbers that a training step keeps for each head of a token, and for each key that head sees, beyond queries,
    /// keys, values and the result.</summary>
    (long PerHead, long PerHeadAndKey) Activations { get; }
}
