using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>What training minimises: a sum over the rows of a step, divided by how many of what it counts they hold. Several threads may
/// compute losses of rows of equal length at once.</summary>
internal abstract class LossFunction : IDisposable
{
    /// <summary>The names of the figures that are reported with the loss, in the order of <see cref="LossTerms.Figures"/>.</summary>
    public virtual IReadOnlyList<string> FigureNames => [];

    /// <summary>Whether the loss on validation data is that of its targets, −log p: then <see cref="LossEvaluator"/> computes it.</summary>
    public virtual bool IsLikelihood => true;

    /// <summary>Whether the loss on validation data has a perplexity, as one of tokens has.</summary>
    public virtual bool HasPerplexity => IsLikelihood;

    /// <summary>What the summed loss of a batch is divided by, over all batches of a step.</summary>
    public virtual long Count(Batch batch) => batch.TargetTokens;

    /// <summary>The names of the figures that <see cref="Validate"/> gives.</summary>
    public virtual IReadOnlyList<string> ValidationFigureNames => FigureNames;

    /// <summary>What is lowest in the best model, on validation rows, and figures beside it. The same on any number of processes.</summary>
    public virtual LossMeans Validate(SequenceModel model, IReadOnlyList<Batch> batches, Device device, IProcessGroup processes) =>
        IsLikelihood
            ? new(LossEvaluator.Evaluate(model, batches, device, processes).MeanLoss, [])
            : LossMeans.Of(this, model, batches, device, processes);

    /// <summary>Called with all rows of a step before any of its losses is computed, on every rank.</summary>
    public virtual void Begin(SequenceModel model, StepBatch step)
    {
    }

    /// <summary>The losses of rows, summed; <paramref name="input"/> and <paramref name="targets"/> are those of
    /// <paramref name="batch"/>, on the model's device. In the current dispose scope.</summary>
    public abstract LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets);

    public virtual void Dispose()
    {
    }
}

/// <summary>The cross entropy of the targets, tokens.</summary>
internal class TokenCrossEntropy(double labelSmoothing = 0) : LossFunction
{
    public sealed override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets) =>
        model.Losses(input, targets, labelSmoothing);
}

/// <summary>The cross entropy of classes.</summary>
internal sealed class ClassCrossEntropy(double labelSmoothing = 0) : TokenCrossEntropy(labelSmoothing)
{
    public override bool HasPerplexity => false;
}

/// <summary>The error of forecasts, which a model of time series computes itself; it is no likelihood.</summary>
internal sealed class ForecastLoss : LossFunction
{
    public override bool IsLikelihood => false;

    public override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets) => model.Losses(input, targets);
}
