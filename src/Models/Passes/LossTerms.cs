using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What a batch costs in training.</summary>
/// <param name="CrossEntropy">Summed over the targets, in nats: what is reported. Zero dimensions, float32, on the device.</param>
/// <param name="Auxiliary">What layers add to the objective, summed over the targets likewise; null where nothing is.</param>
public readonly record struct LossTerms(Tensor CrossEntropy, Tensor? Auxiliary)
{
    /// <summary>What is minimised.</summary>
    public Tensor Objective => Auxiliary is null ? CrossEntropy : CrossEntropy.add(Auxiliary);
}
