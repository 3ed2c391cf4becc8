using TorchSharp;

namespace Trainer.Kernels;

/// <summary>The weights of a linear layer, and what is multiplied.</summary>
/// <param name="Weight">(N, K), float32: where the gradient goes; or, where there is none, the rounded one</param>
/// <param name="Rounded">The weight as it is multiplied: in bfloat16, (N, K), packed or not, or in blocks of 8 bits; or the weight
/// itself</param>
/// <param name="Bias">(N), float32, or none</param>
public readonly record struct LinearWeight(torch.Tensor Weight, torch.Tensor Rounded, torch.Tensor? Bias = null);
