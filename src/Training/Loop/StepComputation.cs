using TorchSharp;
using Trainer.Data;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The work of one optimizer step: the gradients of a window, clipping, the update.</summary>
/// <remarks>The gradients of several micro-batches add up as if they were one batch. Every summed loss is divided by the
/// targets of the whole window: dividing by a micro-batch's own and then averaging would weigh targets by how full their
/// micro-batch happens to be.</remarks>
internal abstract class StepComputation(LanguageModel model, double labelSmoothing) : IDisposable
{
    /// <summary>The model whose gradients are replaced.</summary>
    protected LanguageModel Model { get; } = model;

    /// <summary>A batch's share of the mean loss over its whole window: what is reported, and what is minimised, which layers may have added to.</summary>
    /// <param name="batch">Rows of one micro-batch.</param>
    /// <param name="dropping">Of the micro-batch, from <see cref="DrawKeys"/>.</param>
    /// <param name="windowTokens">Targets of the window.</param>
    /// <param name="device">Where to compute.</param>
    protected (Tensor Loss, Tensor Objective) Share(Batch batch, DropoutKey? dropping, long windowTokens, Device device)
    {
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        LossTerms terms = Model.Losses(input with { Dropping = dropping is { } key ? key with { First = batch.FirstRow } : null }, targets, labelSmoothing);
        return (terms.CrossEntropy.detach().div(windowTokens), terms.Objective.div(windowTokens));
    }

    /// <summary>A key for the dropout of each micro-batch, however its rows are shared out; null where nothing is dropped.</summary>
    protected DropoutKey?[] DrawKeys(BatchWindow window) =>
        [.. window.MicroBatches.Select(_ => Model.Options.Dropout > 0 ? DropoutKey.Draw() : (DropoutKey?)null)];

    /// <summary>How the work is shared, for the log.</summary>
    public abstract string Description { get; }

    // Gradients of one thread, and of all beside the first, in bytes. Small models gain from threads of their own, for which an operation is little work; from
    // 10 M parameters on operations that are shared out are as fast, and at 124 M they were faster by a tenth and more, with 500 MiB of gradients and as much else
    // spared (two threads, docs/kernels.md).
    private const long MostGradients = 256L << 20, MostFurtherGradients = 1L << 30;

    /// <summary>Chooses how to share the work.</summary>
    /// <param name="model">On <paramref name="device"/>.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="options">How many sequences a micro-batch has, and how its loss is smoothed.</param>
    /// <remarks>Rows of a micro-batch go to threads of their own where that gives the same result every time: on the CPU, with
    /// at least one row for every core, and unless the gradients of those threads take much memory.</remarks>
    public static StepComputation Create(LanguageModel model, Device device, TrainingOptions options)
    {
        int threads = Threads(device.type, options, model.parameters().Where(parameter => parameter.requires_grad).Sum(parameter => parameter.numel()));
        return threads > 1 ? new ThreadedStep(model, threads, options.LabelSmoothing) : new SequentialStep(model, device, options.LabelSmoothing);
    }

    /// <summary>Threads that share the rows of a micro-batch; 1 where it is computed as a whole.</summary>
    /// <param name="device">Where to compute.</param>
    /// <param name="options">How many sequences a micro-batch has.</param>
    /// <param name="parameters">Numbers that have a gradient.</param>
    /// <param name="available">Threads that there are; null for those of libtorch.</param>
    public static int Threads(DeviceType device, TrainingOptions options, long parameters, int? available = null)
    {
        int threads = available ?? get_num_threads();
        long gradients = parameters * sizeof(float);
        bool shares = device == DeviceType.CPU && options.MicroBatch >= threads && gradients <= MostGradients && (threads - 1) * gradients <= MostFurtherGradients;
        return shares ? threads : 1;
    }

    /// <summary>Replaces the model's gradients by those of the mean loss over a window.</summary>
    /// <returns>The mean loss, in nats per target token, and the norm of all gradients together: float32 scalars on the
    /// device, without gradient.</returns>
    public abstract (Tensor Loss, Tensor Norm) Differentiate(BatchWindow window);

    /// <summary>Scales the gradients so that their norm is at most a limit, and updates the weights.</summary>
    /// <param name="optimizer">Of the model's parameters.</param>
    /// <param name="learningRate">The learning rate of this step.</param>
    /// <param name="norm">The norm of the gradients.</param>
    /// <param name="maxNorm">Its limit; 0 for none.</param>
    /// <param name="skip">A scalar on the device: 1 where nothing may change.</param>
    public abstract void Update(Optimizer optimizer, double learningRate, Tensor norm, double maxNorm, Tensor skip);

    /// <inheritdoc/>
    public abstract void Dispose();
}
