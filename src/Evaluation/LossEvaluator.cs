using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation;

/// <summary>Computes a model's loss on batches, without dropout and without gradients.</summary>
public static class LossEvaluator
{
    /// <summary>Scores every target of every batch once; the model is left in the mode it was in.</summary>
    public static LossReport Evaluate(LanguageModel model, IEnumerable<Batch> batches, Device device)
    {
        bool training = model.training;
        model.eval();
        try
        {
            using IDisposable inference = inference_mode();
            using DisposeScope scope = NewDisposeScope();
            Tensor sum = zeros([], dtype: ScalarType.Float64, device: device);
            long tokens = 0;
            foreach (Batch batch in batches)
            {
                Add(sum, model, batch, device);
                tokens += batch.TargetTokens;
            }
            return new LossReport(sum.ToDouble(), tokens);
        }
        finally
        {
            model.train(training);
        }
    }

    private static void Add(Tensor sum, LanguageModel model, Batch batch, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        sum.add_(model.LossSum(input, targets).to(ScalarType.Float64));
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
