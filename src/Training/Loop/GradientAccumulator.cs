using TorchSharp;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Adds up the gradients of several micro-batches as if they were one batch.</summary>
/// <remarks>Every summed loss is divided by the targets of the whole window: dividing by a micro-batch's own and then
/// averaging would weigh targets by how full their micro-batch happens to be.</remarks>
internal abstract class GradientAccumulator(LanguageModel model) : IDisposable
{
    /// <summary>The model whose gradients are replaced.</summary>
    protected LanguageModel Model { get; } = model;

    /// <summary>How the work is shared, for the log.</summary>
    public abstract string Description { get; }

    /// <summary>Chooses how to share the work.</summary>
    /// <param name="model">On <paramref name="device"/>.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="rows">Sequences of a micro-batch.</param>
    /// <remarks>Rows of a micro-batch go to threads of their own where that gives the same result every time: on the CPU, with
    /// at least one row for every core, and without dropout, which draws from one generator for all threads.</remarks>
    public static GradientAccumulator Create(LanguageModel model, Device device, int rows)
    {
        var cores = get_num_threads();
        return device.type == DeviceType.CPU && cores > 1 && rows >= cores && model.Options.Dropout == 0
            ? new ThreadedGradientAccumulator(model, cores)
            : new SequentialGradientAccumulator(model, device);
    }

    /// <summary>Replaces the model's gradients by those of the mean loss over a window.</summary>
    /// <returns>The mean loss, in nats per target token: a float32 scalar on the device, without gradient.</returns>
    public abstract Tensor Accumulate(BatchWindow window);

    /// <summary>Runs what follows the gradients, clipping and the update, where it disturbs nobody.</summary>
    public abstract void Follow(Action work);

    /// <inheritdoc/>
    public abstract void Dispose();
}
