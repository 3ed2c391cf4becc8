using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>How a training step is computed, as far as its memory depends on it.</summary>
public sealed record TrainingShape
{
    /// <summary>Threads that share a micro-batch, each with gradients of its own.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether a step sums the gradients of several micro-batches.</summary>
    public bool Accumulates { get; init; }

    /// <summary>Whether a micro-batch's gradients all exist at its end. On one thread libtorch adds them as they come.</summary>
    internal bool GradientsStay => !Accumulates || Threads > 1;

    /// <summary>Whether the backward pass runs blocks again instead of keeping what they computed.</summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>The type matrix products are computed in: float32 or bfloat16.</summary>
    public ScalarType ComputeType { get; init; } = ScalarType.Float32;

    /// <summary>Numbers that the optimizer keeps for each parameter, such as AdamW's two moments; of several processes that share them out,
    /// those of one.</summary>
    public double MomentsPerParameter { get; init; } = 2;

    /// <summary>The adapters that are trained in place of the model's own weights; null where those are.</summary>
    public AdapterCost? Adapter { get; init; }

    /// <summary>The share of each target's probability that is spread over all tokens.</summary>
    public double LabelSmoothing { get; init; }
}
