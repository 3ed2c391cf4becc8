using Trainer.Kernels;

namespace Trainer.Models;

/// <summary>How one layer computes attention.</summary>
/// <param name="Layer">The layer of its stack, from 0.</param>
/// <param name="Kernel">The kernel, by its name in a configuration; what <c>auto</c> came to.</param>
/// <param name="Backend">The backend of libtorch that runs; null when the kernel is our own.</param>
public sealed record KernelReport(int Layer, string Kernel, AttentionBackend? Backend)
{
    /// <summary>The stack of blocks: <c>decoder</c> or <c>encoder</c>.</summary>
    public string Stack { get; init; } = "decoder";

    /// <summary>Whether it is attention to an encoder's output.</summary>
    public bool Cross { get; init; }
}

/// <summary>A kernel, by its name in a configuration, and the backend of libtorch that runs where it is one.</summary>
internal readonly record struct KernelChoice(string Kernel, AttentionBackend? Backend);
