using Trainer.Torch;

namespace Trainer.Transformers;

/// <summary>How one layer computes attention.</summary>
/// <param name="Layer">The layer, from 0.</param>
/// <param name="Kernel">The kernel, by its name in a configuration; what <c>auto</c> came to.</param>
/// <param name="Backend">The backend of libtorch that runs; null when the kernel is our own.</param>
public sealed record KernelReport(int Layer, string Kernel, AttentionBackend? Backend);
