using TorchSharp;

namespace Trainer.Kernels;

/// <summary>By what angles pairs of numbers of each head are turned at each position (Su et al. 2021, arXiv 2104.09864).</summary>
/// <param name="Table">(T, W), or (B, T, W) where sequences stand at different positions, float32: [cos | cos | −sin | sin] of R/2 pairs
/// each, or where pairs lie side by side cos and sin in turn</param>
/// <param name="Turned">The numbers of a head that are turned, from its first, R</param>
/// <param name="Interleaved">Whether pairs lie side by side, not R/2 apart</param>
public readonly record struct RotaryAngles(torch.Tensor Table, long Turned, bool Interleaved);
