using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>Computes a model's loss on batches, without dropout and without gradients.</summary>
public static class LossEvaluator
{
    /// <summary>Scores every target of every batch once; the model is left in the mode it was in. Of several processes with the same model
    /// each computes its share of the batches, and all get the whole.</summary>
    public static LossReport Evaluate(
        SequenceModel model, IReadOnlyList<Batch> batches, Device device, IProcessGroup? processes = null)
    {
        processes ??= new SingleProcess();
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor sums = zeros(batches.Count, dtype: ScalarType.Float64, device: device);
        long tokens = 0;
        for (int index = processes.Rank; index < batches.Count; index += processes.Size)
        {
            Batch batch = batches[index];
            Add(sums, index, model, batch, device);
            tokens += batch.TargetTokens;
        }
        processes.Sum(sums); // with zeros: exact
        // In the order of batches, whoever computed them.
        return new LossReport(sums.cpu().data<double>().Sum(), processes.Sum(tokens));
    }

    private static void Add(Tensor sums, int index, SequenceModel model, Batch batch, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        sums.select(0, index).copy_(model.LossSum(input, targets));
    }
}

/// <summary>The loss of a model: Σ −log p over all scored tokens, in nats.</summary>
public sealed record LossReport(double NegativeLogLikelihood, long Tokens)
{
    /// <summary>Nats per token, over all tokens: never a mean of means.</summary>
    public double MeanLoss => NegativeLogLikelihood / Tokens;

    /// <summary>exp of <see cref="MeanLoss"/>.</summary>
    public double Perplexity => Math.Exp(MeanLoss);
}
