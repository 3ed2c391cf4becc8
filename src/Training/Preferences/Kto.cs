// Shapes: R rows.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Evaluation.Preferences;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Preferences;

/// <summary>Kahneman-Tversky optimization (Ethayarajh et al. 2024, arXiv 2402.01306), for which answers need not come in pairs:
/// 1 − σ(β (h − z)) of a good answer and 1 − σ(β (z − h)) of a bad one, with z the divergence from the reference, estimated on prompts with
/// the answers of others.</summary>
[Description("Kahneman-Tversky optimization: good answers are to gain over the reference more than others do, bad ones less; answers " +
    "may be judged alone.")]
public sealed record KtoOptions : ReferencedPreferenceOptions
{
    /// <summary>The weight of good answers, such as to make up for their being fewer.</summary>
    [Description("The weight of chosen answers, such as to make up for their being fewer.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double ChosenWeight { get; init; } = 1;

    /// <summary>The weight of bad answers.</summary>
    [Description("The weight of rejected answers.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double RejectedWeight { get; init; } = 1;

    internal override string Type => "kto";

    internal override bool TakesSingleAnswers => true;

    internal override bool KeepsReference => true;

    internal override PreferenceLoss Build(ReferenceModel? reference) => new KtoLoss(this, reference!);
}

internal sealed class KtoLoss(KtoOptions options, ReferenceModel reference) : PreferenceLoss(reference)
{
    private static readonly string[] Names = ["accuracy", "margin", "divergence"];

    private Tensor? divergence; // z, a float32 scalar on the device; null for 0

    /// <summary>The share of answers on their side of z, how far they are there (times β), and z.</summary>
    public override IReadOnlyList<string> FigureNames => Names;

    public override long Count(Batch batch) => ExchangedAnswers.Find(batch).Count;

    /// <summary>Estimates z of a step, from its prompts and each the answer to another.</summary>
    public override void Begin(SequenceModel model, StepBatch step)
    {
        LanguageModel policy = (LanguageModel)model;
        using DisposeScope scope = NewDisposeScope();
        using EvaluationMode mode = EvaluationMode.Of(model);
        Tensor sum = zeros([], ScalarType.Float64, model.Device);
        long count = 0;
        foreach (Batch batch in ExchangedAnswers.Of(step.MicroBatches, model.ContextLength))
        {
            Tensor own = AnswerScores.Of(policy, batch, model.Device).LogProbability.select(1, 0);
            Tensor others = AnswerScores.Of(Reference!.Model!, batch, model.Device).LogProbability.select(1, 0);
            sum = sum.add(own.sub(others).sum().to_type(ScalarType.Float64));
            count += batch.Rows;
        }
        divergence?.Dispose();
        divergence = count == 0 ? null : sum.div(count).clamp_min(0).to_type(ScalarType.Float32).DetachFromDisposeScope();
    }

    internal override LossTerms Terms(AnswerScores policy, Tensor? reference)
    {
        Tensor there = policy.Tokens.gt(0).to_type(ScalarType.Float32); // (R, 2)
        Tensor side = tensor(new float[] { 1, -1 }).ToDevice(there.device); // chosen, rejected
        Tensor weight = tensor(new[] { (float)options.ChosenWeight, (float)options.RejectedWeight }).ToDevice(there.device);
        Tensor z = divergence ?? zeros([], device: there.device);
        Tensor margin = policy.LogProbability.sub(reference!).sub(z).mul(side).mul(options.Beta); // (R, 2)
        Tensor loss = margin.sigmoid().neg().add(1).mul(weight).mul(there);
        return new(loss.sum(), null)
        {
            Figures = Sums(margin.gt(0).mul(there), margin.mul(there), there.mul(z)),
        };
    }

    public override void Dispose()
    {
        divergence?.Dispose();
        base.Dispose();
    }
}
