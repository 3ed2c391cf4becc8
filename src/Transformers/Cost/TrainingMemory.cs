using Trainer.Kernels;

namespace Trainer.Transformers;

/// <summary>How a training step is computed, as far as its memory depends on it.</summary>
/// <param name="Rows">Sequences of a micro-batch, B.</param>
/// <param name="Length">Positions of each, T.</param>
public sealed record TrainingShape(int Rows, int Length)
{
    /// <summary>Positions of what the encoder of an encoder-decoder reads, S; null for as many as <see cref="Length"/>.</summary>
    public int? SourceLength { get; init; }

    /// <summary>Threads that share a micro-batch, each with gradients of its own.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>Whether a step has several micro-batches, whose gradients are added up.</summary>
    public bool Accumulates { get; init; }

    /// <summary>Whether blocks are run again by the backward pass instead of keeping what they computed.</summary>
    public bool ActivationCheckpointing { get; init; }

    /// <summary>Whether matrix products are bfloat16.</summary>
    public bool Rounds { get; init; }
}

/// <summary>Bytes that a training step takes, computed from a model's options alone: an estimate, within a tenth of what is measured on a CPU.</summary>
/// <param name="Weights">Float32 master weights.</param>
/// <param name="Moments">The two running means of AdamW.</param>
/// <param name="Gradients">The most that gradients take: at the end of a backward pass.</param>
/// <param name="Activations">The most that what is kept for a backward pass takes: at its beginning.</param>
/// <param name="Peak">All of it at its height, and what kernels keep besides; gradients come as activations go, so that it can be less than their sum.</param>
public sealed record TrainingMemory(long Weights, long Moments, long Gradients, long Activations, long Peak)
{
    private const int Float32Bytes = 4;
    private const int BFloat16Bytes = 2;

    // What kernels keep between calls for each thread, and the runtime for all of them: measured, 7 MiB with one thread and 6 to 10 with two.
    private const long ScratchBytes = 3 << 20;

    // The logits, their log-softmax and its gradient meet.
    private const int LogitsAtOnce = 3;

    internal static TrainingMemory Of(ModelCost cost, TrainingShape shape)
    {
        int source = shape.SourceLength ?? shape.Length, longest = Math.Max(source, shape.Length);
        long weights = Float32Bytes * cost.Parameters;
        long BytesOf(PartCost part, int length) => (long)shape.Rows * length * (
            Float32Bytes * (part.Activations + part.ActivationsPerKey * longest) + (shape.Rounds ? BFloat16Bytes : Float32Bytes) * part.RoundedActivations
            + (shape.Rounds ? 0 : Float32Bytes) * part.FullActivations);
        int LengthOf(int index) => index < cost.SourceBlocks ? source : shape.Length;

        long[] blocks = [.. cost.Blocks.Select((part, i) => BytesOf(part, LengthOf(i)))];
        long inputs = (long)shape.Rows * Float32Bytes * cost.StreamWidth * blocks.Select((_, i) => (long)LengthOf(i)).Sum();
        long rounded = shape.Rounds ? BFloat16Bytes * cost.MatrixParameters : 0; // one copy for all threads, kept from step to step
        // At first everything is kept, and the loss is differentiated; then the last block, whose widest part comes first. A block that is run again is there whole.
        long kept = BytesOf(cost.BeforeBlocks, longest) + (shape.ActivationCheckpointing ? inputs : blocks.Sum());
        long activations = kept + BytesOf(cost.AfterBlocks, longest) + LossBytes(cost, shape, longest);
        long passing = cost.Blocks.Select((part, i) => PassingBytes(part, shape, LengthOf(i))).Max();
        long again = shape.ActivationCheckpointing ? blocks.Max() + passing : 0;
        long lastBlock = kept + HeadGradients(cost, shape) + Math.Max(passing, again);
        long sums = shape.Accumulates ? shape.Threads * weights : 0;
        // Threads add a micro-batch's gradients to their sums; one thread alone has libtorch add them as they come.
        long gradients = shape.Threads * weights + (shape.Threads > 1 ? sums : 0);
        long height = Math.Max(Math.Max(activations, lastBlock) + sums, gradients + again);
        return new(weights, 2 * weights, gradients, activations, 3 * weights + rounded + height + (shape.Threads + 1) * ScratchBytes);
    }

    // In every thread the logits of some rows, and the gradient of the head's matrix; or all logits.
    private static long LossBytes(ModelCost cost, TrainingShape shape, int longest)
    {
        if (cost.PassingLogits == 0) return (long)LogitsAtOnce * Float32Bytes * shape.Rows * longest * cost.HeldLogits;
        long rows = CrossEntropy.RowsOfLogits((long)shape.Rows * shape.Length / shape.Threads, cost.PassingLogits);
        long logits = rows * cost.PassingLogits * Float32Bytes;
        return shape.Threads * logits + HeadGradients(cost, shape) + Float32Bytes * (long)shape.Rows * longest * cost.StreamWidth;
    }

    // Where logits pass, the gradient of the head's matrix comes with them, before any other.
    private static long HeadGradients(ModelCost cost, TrainingShape shape) => shape.Threads * Float32Bytes * (long)cost.PassingLogits * cost.StreamWidth;

    private static long PassingBytes(PartCost part, TrainingShape shape, int length)
    {
        long rows = (long)shape.Rows * length;
        return shape.Rounds && part.RoundedPassingBytes > 0
            ? shape.Threads * FusedFeedForward.RowsOfHidden(rows / shape.Threads) * part.RoundedPassingBytes
            : rows * Float32Bytes * part.PassingGradients;
    }
}
