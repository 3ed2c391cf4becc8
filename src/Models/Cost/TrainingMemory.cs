using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Bytes of what training changes: exactly what the options say.</summary>
/// <param name="Weights">Float32 master weights.</param>
/// <param name="Moments">The two running means of AdamW.</param>
/// <param name="Gradients">The most that gradients take: at the end of a backward pass.</param>
public sealed record TrainingState(long Weights, long Moments, long Gradients)
{
    /// <summary>The state of a model.</summary>
    /// <param name="cost">The model.</param>
    /// <param name="shape">How a step is computed.</param>
    public static TrainingState Of(ModelCost cost, TrainingShape shape)
    {
        long weights = sizeof(float) * cost.Parameters;
        int copies = (shape.GradientsStay ? shape.Threads : 0) + (shape.Accumulates ? shape.Threads : 0);
        return new(weights, 2 * weights, copies * weights);
    }
}

/// <summary>Bytes that a training step takes, by parts of the model that were measured and scaled.</summary>
/// <param name="Activations">The most that is there before the backward pass begins, beside the <see cref="TrainingState"/>.</param>
/// <param name="Peak">All of it at its height, and what kernels keep besides; gradients come as activations go, so that it can be less than
/// their sum.</param>
/// <param name="MeasuredLength">The longest row that was measured, where whole rows of a large model would have taken too long; else
/// null.</param>
public sealed record TrainingMemory(long Activations, long Peak, int? MeasuredLength)
{
    private const int BFloat16Bytes = 2;

    /// <summary>Measures a model's parts on the CPU, one at a time: each kind of block once, however many of them there are.</summary>
    /// <param name="model">Its options, valid.</param>
    /// <param name="vocabularySize">Number of token ids, V.</param>
    /// <param name="shape">How a step is computed.</param>
    /// <param name="input">What one thread reads of a micro-batch.</param>
    /// <param name="targets">What it is to predict (B, T), int64.</param>
    public static TrainingMemory Measure(ModelOptions model, int vocabularySize, TrainingShape shape, ModelInput input, Tensor targets)
    {
        using MemoryProbe probe = new(model, model.EmbeddingRows(vocabularySize), shape, input, targets);
        return Of(ModelCost.Of(model, vocabularySize), shape, probe.Measure());
    }

    internal static TrainingMemory Of(ModelCost cost, TrainingShape shape, MeasuredModel measured)
    {
        TrainingState state = TrainingState.Of(cost, shape);
        long sums = shape.Accumulates ? shape.Threads * state.Weights : 0;
        // One copy for all threads, kept from step to step.
        long rounded = shape.ComputeType == ScalarType.BFloat16 ? BFloat16Bytes * cost.MatrixParameters : 0;
        (double forward, double backward) = Heights(measured.Parts, shape.GradientsStay);
        double height = measured.Shared + shape.Threads * Math.Max(forward, backward) + sums;
        return new(
            (long)(measured.Shared + shape.Threads * forward),
            state.Weights + state.Moments + rounded + (long)Math.Max(height, state.Gradients) + measured.Program,
            measured.Length);
    }

    // The most of one thread in the forward pass, through the parts as they stand, and in the backward pass, in which gradients of weights
    // come as what was kept goes.
    private static (double Forward, double Backward) Heights(IReadOnlyList<MeasuredPart> parts, bool gradientsStay)
    {
        double forward = 0, held = 0;
        foreach ((PartMemory memory, _) in parts)
        {
            forward = Math.Max(forward, held + memory.Forward);
            held += memory.Held;
        }

        double backward = 0, kept = parts.Sum(part => part.Memory.Kept), gradients = 0;
        foreach ((PartMemory memory, long weights) in parts.Reverse())
        {
            kept -= memory.Kept;
            backward = Math.Max(backward, kept + memory.Backward + gradients);
            if (gradientsStay) gradients += sizeof(float) * weights;
        }
        return (forward, backward);
    }
}

/// <summary>A model whose parts were measured.</summary>
/// <param name="Parts">In the order of the forward pass, for the rows of one thread.</param>
/// <param name="Shared">Bytes that are there once: masks, and what they share in a pass, of all threads.</param>
/// <param name="Program">Bytes that kernels and the runtime keep, for all threads.</param>
/// <param name="Length">The longest row measured, where it is shorter than the rows to compute; else null.</param>
internal sealed record MeasuredModel(IReadOnlyList<MeasuredPart> Parts, double Shared, long Program, int? Length);

/// <summary>A part that was measured.</summary>
/// <param name="Memory">What it takes.</param>
/// <param name="Weights">How many of its weights nothing after it has, too.</param>
internal readonly record struct MeasuredPart(PartMemory Memory, long Weights);
