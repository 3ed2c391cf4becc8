using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>The mean of a loss over batches, and of the figures it reports, in the order of their names.</summary>
internal sealed record LossMeans(double Loss, IReadOnlyList<double> Figures)
{
    /// <summary>Computes a loss that is no likelihood on batches, without dropout and without gradients, as <see cref="LossEvaluator"/>
    /// does that of targets: the same on any number of processes.</summary>
    public static LossMeans Of(
        LossFunction loss, SequenceModel model, IReadOnlyList<Batch> batches, Device device, IProcessGroup processes)
    {
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor sums = zeros([batches.Count, 1 + loss.FigureNames.Count], ScalarType.Float64, device);
        long count = 0;
        loss.Begin(model, new StepBatch(batches)); // of all, whatever rows a batch has
        for (int index = processes.Rank; index < batches.Count; index += processes.Size)
        {
            Add(sums.select(0, index), loss, model, batches[index], device);
            count += loss.Count(batches[index]);
        }
        processes.Sum(sums); // with zeros: exact
        count = processes.Sum(count);
        double[] means = sums.sum(dim: 0).cpu().data<double>().ToArray();
        return new(means[0] / count, [.. means.Skip(1).Select(sum => sum / count)]);
    }

    private static void Add(Tensor sums, LossFunction loss, SequenceModel model, Batch batch, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        LossTerms terms = loss.Losses(model, batch, input, targets);
        sums[0].copy_(terms.CrossEntropy);
        if (terms.Figures is { } figures) sums.narrow(0, 1, figures.size(0)).copy_(figures);
    }
}
