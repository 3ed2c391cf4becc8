using TorchSharp;
using Trainer.Data;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Losses;

/// <summary>Measures a model's loss on batches, without dropout and without gradients.</summary>
public static class LossMeter
{
    /// <summary>Scores every target of every batch once.</summary>
    /// <param name="model">The model, on <paramref name="device"/>; left in the mode it was in.</param>
    /// <param name="batches">What to predict; batches and their rows may differ in size.</param>
    /// <param name="device">Where the model is.</param>
    /// <returns>The summed loss and the number of tokens.</returns>
    public static LossSummary Measure(LanguageModel model, IEnumerable<Batch> batches, Device device)
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
            return new LossSummary(sum.ToDouble(), tokens);
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
