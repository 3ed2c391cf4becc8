using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Bytes of float32 master weights, the optimizer's moments, and gradients at the end of a backward pass.</summary>
public sealed record TrainingState(long Weights, long Moments, long Gradients)
{
    /// <summary>The state of a model, gradients per thread as the step needs them.</summary>
    public static TrainingState Of(ModelCost cost, TrainingShape shape)
    {
        long weights = sizeof(float) * (cost.Parameters + (shape.Adapter?.Added ?? 0)), trained = TrainedBytes(cost, shape);
        if (shape.Adapter is { } adapter) weights -= sizeof(float) * adapter.Frozen - adapter.FrozenBytes;
        int copies = (shape.GradientsStay ? shape.Threads : 0) + (shape.Accumulates ? shape.Threads : 0);
        return new(weights, (long)(shape.MomentsPerParameter * trained), copies * trained);
    }

    internal static long TrainedBytes(ModelCost cost, TrainingShape shape) =>
        sizeof(float) * (shape.Adapter?.Trained ?? cost.Parameters);
}

/// <summary>Peak bytes of activations, beside the <see cref="TrainingState"/>, and of a whole step, scaled from measured parts.</summary>
/// <remarks>Activations go while gradients come, so the peak is not their sum. <c>MeasuredLength</c> is null if no row was cut.</remarks>
public sealed record TrainingMemory(long Activations, long Peak, int? MeasuredLength)
{
    private const int BFloat16Bytes = 2;

    /// <summary>Measures a model's parts on the CPU, each kind of block once, on one thread's share of a micro-batch, (B, T).</summary>
    public static TrainingMemory Measure(ModelOptions model, int vocabularySize, TrainingShape shape, ModelInput input, Tensor targets)
    {
        using MemoryProbe probe = new(model, model.EmbeddingRows(vocabularySize), shape, input, targets);
        return Of(ModelCost.Of(model, vocabularySize), shape, probe.Measure());
    }

    internal static TrainingMemory Of(ModelCost cost, TrainingShape shape, MeasuredModel measured)
    {
        TrainingState state = TrainingState.Of(cost, shape);
        long sums = shape.Accumulates ? shape.Threads * TrainingState.TrainedBytes(cost, shape) : 0;
        // One copy for all threads, kept from step to step.
        long copied = cost.MatrixParameters;
        if (shape.Adapter is { Options.BaseWeights: not FrozenFormat.Float32 } adapter) copied -= adapter.Frozen;
        long rounded = shape.ComputeType == ScalarType.BFloat16 ? BFloat16Bytes * copied : 0;
        (double forward, double backward) = Heights(measured.Parts, shape.GradientsStay);
        double height = measured.Shared + shape.Threads * Math.Max(forward, backward) + sums;
        return new(
            (long)(measured.Shared + shape.Threads * forward),
            state.Weights + state.Moments + rounded + (long)Math.Max(height, state.Gradients) + measured.Program,
            measured.Length);
    }

    // The peaks of one thread's forward pass, and of its backward pass, in which weight gradients come as what was kept goes.
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

/// <summary>Measured parts in the order of the forward pass, for the rows of one thread; the other bytes are of all threads.</summary>
/// <remarks><c>Shared</c> are masks and what layers share in a pass, <c>Program</c> is what kernels and the runtime keep; <c>Length</c> is
/// of the longest measured row if rows were cut.</remarks>
internal sealed record MeasuredModel(IReadOnlyList<MeasuredPart> Parts, double Shared, long Program, int? Length);

/// <summary>A measured part, and how many of its weights no later part shares.</summary>
internal readonly record struct MeasuredPart(PartMemory Memory, long Weights);
