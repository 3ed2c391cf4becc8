// Shapes: R rows, T positions, C model dimension.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Evaluation.Preferences;
using Trainer.Models;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Preferences;

/// <summary>A loss of the probabilities of whole answers: rows hold a chosen and a rejected one, which do not see each other.</summary>
internal abstract class PreferenceLoss(ReferenceModel? reference) : LossFunction
{
    protected ReferenceModel? Reference { get; } = reference;

    public override bool IsLikelihood => false;

    public override long Count(Batch batch) => batch.Rows;

    public override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets)
    {
        LanguageModel policy = (LanguageModel)model;
        LossTerms terms = policy.Losses(
            input, targets, (hidden, aims) => Terms(batch, AnswerScores.Of(policy, batch, hidden, aims, policy.PrefixLength)));
        // What layers add counts once for each target, and is divided by pairs.
        return terms with { Auxiliary = terms.Auxiliary?.mul((double)Count(batch) / Math.Max(1, batch.TargetTokens)) };
    }

    /// <summary>The loss of rows, summed, with its figures. The reference's scores of the same answers are (R, 2), as
    /// <see cref="AnswerScores.LogProbability"/>.</summary>
    internal abstract LossTerms Terms(AnswerScores policy, Tensor? reference);

    private LossTerms Terms(Batch batch, AnswerScores policy)
    {
        using DisposeScope scope = NewDisposeScope();
        LossTerms terms = Terms(policy, Reference?.Scores(batch, policy.LogProbability.device));
        return new(terms.CrossEntropy.MoveToOuterDisposeScope(), null) { Figures = terms.Figures?.MoveToOuterDisposeScope() };
    }

    /// <summary>Sums over rows of what is reported, each (R): (K), without gradients.</summary>
    protected static Tensor Sums(params Tensor[] figures) =>
        stack([.. figures.Select(figure => figure.detach().to_type(ScalarType.Float32).sum())]);

    public override void Dispose() => Reference?.Dispose();
}

/// <summary>A loss that compares two answers: −log σ of a difference, or what else a method makes of it.</summary>
internal abstract class PairwiseLoss(ReferenceModel? reference) : PreferenceLoss(reference)
{
    private static readonly string[] Names = ["accuracy", "margin", "chosenReward", "rejectedReward"];

    /// <summary>The share of pairs whose chosen answer has the higher reward, the mean difference, and the mean rewards.</summary>
    public override IReadOnlyList<string> FigureNames => Names;

    /// <summary>The loss of each pair, (R), and the rewards of its answers, (R, 2).</summary>
    protected abstract (Tensor Loss, Tensor Rewards) Pairs(AnswerScores policy, Tensor? reference);

    internal sealed override LossTerms Terms(AnswerScores policy, Tensor? reference)
    {
        (Tensor loss, Tensor rewards) = Pairs(policy, reference);
        (Tensor chosen, Tensor rejected) = (rewards.select(1, 0), rewards.select(1, 1));
        return new(loss.sum(), null) { Figures = Sums(chosen.gt(rejected), chosen.sub(rejected), chosen, rejected) };
    }

    /// <summary>Chosen less rejected, (R, 2) → (R).</summary>
    protected static Tensor Difference(Tensor answers) => answers.select(1, 0).sub(answers.select(1, 1));
}
