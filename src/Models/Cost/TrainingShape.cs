using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>How a training step is computed, as far as its memory depends on it.</summary>
public sealed record TrainingShape
{
    /// <summary>Threads that share a micro-batch, each with gradients of its own.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether a step has several micro-batches, whose gradients are added up.</summary>
    public bool Accumulates { get; init; }

    /// <summary>Whether all gradients of a micro-batch are there at its end. Threads add them to their sums then; one thread alone has
    /// libtorch add them as they come.</summary>
    internal bool GradientsStay => !Accumulates || Threads > 1;

    /// <summary>Whether blocks are run again by the backward pass instead of keeping what they computed.</summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>The type matrix products are computed in: float32 or bfloat16.</summary>
    public ScalarType ComputeType { get; init; } = ScalarType.Float32;

    /// <summary>The share of each target's probability that is spread over all tokens.</summary>
    public double LabelSmoothing { get; init; }
}
