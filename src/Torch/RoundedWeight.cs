using TorchSharp;

namespace Trainer.Torch;

/// <summary>The weights of a linear layer that is multiplied in bfloat16.</summary>
/// <param name="Weight">(N, K), float32: where the gradient goes</param>
/// <param name="Rounded">The weight in bfloat16, (N, K): what is multiplied</param>
/// <param name="Bias">(N), float32, or none</param>
public readonly record struct RoundedWeight(torch.Tensor Weight, torch.Tensor Rounded, torch.Tensor? Bias = null);
