using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Patches;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>What a run on pictures or time series will cost: counted from its recipe and its prepared data, activations measured on one
/// thread's share of a micro-batch.</summary>
public sealed record PatchPlan
{
    /// <summary>Learned numbers.</summary>
    public required long Parameters { get; init; }

    /// <summary>Learned numbers by component, which add up to <see cref="Parameters"/>.</summary>
    public required IReadOnlyList<ComponentParameters> Components { get; init; }

    /// <summary>The prepared data.</summary>
    public required string Directory { get; init; }

    /// <summary>How it is read: classes, variables, means and deviations.</summary>
    public required Preprocessor Preprocessor { get; init; }

    /// <summary>Pictures, or windows of a variable, to train on.</summary>
    public required long TrainingExamples { get; init; }

    /// <summary>Pictures, or windows, to validate on.</summary>
    public required long ValidationExamples { get; init; }

    /// <summary>Positions of the model for each of them.</summary>
    public required int Positions { get; init; }

    /// <summary>Rows computed at once.</summary>
    public required int MicroBatchSize { get; init; }

    /// <summary>Optimizer steps.</summary>
    public required long Steps { get; init; }

    /// <summary>Examples that the run sees.</summary>
    public required long Examples { get; init; }

    /// <summary>Floating-point operations of an example, forward.</summary>
    public required double ForwardFlopsPerExample { get; init; }

    /// <summary>Floating-point operations of the whole run without evaluation.</summary>
    public double TotalFlops => 3 * ForwardFlopsPerExample * Examples;

    /// <summary>Bytes of weights, gradients and the optimizer's moments.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Peak bytes of what all threads compute of a micro-batch, beside the weights; null where the system does not count what
    /// tensors take, as glibc does.</summary>
    public required long? ActivationBytes { get; init; }

    /// <summary>How often the run sees its data.</summary>
    public double Epochs => (double)Examples / TrainingExamples;

    /// <summary>Plans a run; prepares its data in <paramref name="datasetsDirectory"/> first.</summary>
    /// <exception cref="UserException">The data cannot be prepared.</exception>
    public static PatchPlan Of(Recipe recipe, string datasetsDirectory, IProgress<string>? progress = null)
    {
        PatchOptions patches = recipe.Model.PatchInput() ?? throw new ArgumentException("The recipe's model reads tokens.", nameof(recipe));
        using NumberData data = RecipeData.Numbers(recipe, patches, datasetsDirectory, progress);
        ModelCost cost = ModelCost.Of(recipe.Model, data.Outputs);
        TrainingShape shape = RunPlan.Shape(recipe, adapter: null, RunPlan.Counts(cost), ranks: 1).Shape;
        TrainingState state = TrainingState.Of(cost, shape);
        int positions = recipe.Model.ContextLength;
        return new()
        {
            Parameters = cost.Parameters,
            Components = cost.Components,
            Directory = data.Directory,
            Preprocessor = data.Preprocessor,
            TrainingExamples = data.Train.Count,
            ValidationExamples = data.Validation.Count,
            Positions = positions,
            MicroBatchSize = recipe.Training.MicroBatch,
            Steps = recipe.Training.Steps,
            Examples = TrainingStages.Sequences(recipe.Training),
            ForwardFlopsPerExample = cost.ForwardFlopsPerToken(positions) * positions,
            StateBytes = state.Weights + state.Moments + state.Gradients,
            ActivationBytes = CpuMemory.CountsTensors ? Measure(recipe, data, shape) : null,
        };
    }

    // On the CPU: a GPU's kernels keep other tensors.
    private static long Measure(Recipe recipe, NumberData data, TrainingShape shape)
    {
        DeviceSelection.SetDeterministic(recipe.Training.Deterministic);
        using DisposeScope scope = NewDisposeScope();
        Batch batch = data.OpenStream(recipe.Data, recipe.Model.ContextLength, recipe.Seed).Next(recipe.Training.MicroBatch);
        using SequenceModel model = recipe.Model.BuildSequenceModel(data.Outputs, shape.ComputeType);
        model.ActivationCheckpointing = shape.ActivationCheckpointing;
        (ModelInput input, Tensor targets) = batch.Part(shape.Threads - 1, shape.Threads).ToTensors(CPU);
        long peak = 0;
        // What lasts, such as masks and gradients, is made in a first pass.
        for (int pass = 0; pass < 2; pass++)
        {
            using DisposeScope once = NewDisposeScope();
            long start = CpuMemory.ResetPeak().Allocated;
            Differentiation.Backward(model.Losses(input, targets, shape.LabelSmoothing).Objective);
            peak = CpuMemory.Current().PeakAllocated - start;
        }
        return Math.Max(0, peak) * shape.Threads;
    }
}
