// Shapes: R pairs.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Evaluation.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Preferences;

/// <summary>Odds ratio preference optimization (Hong et al. 2024, arXiv 2403.07691), without a reference: the chosen answer's negative
/// log-likelihood per token, less λ log σ(log of the ratio of both answers' odds).</summary>
[Description("Odds ratio preference optimization, without a reference: the chosen answer is learned as a text, and its odds are to be " +
    "above the rejected one's.")]
public sealed record OrpoOptions : PreferenceOptions
{
    /// <summary>λ, the weight of the odds ratio beside the likelihood.</summary>
    [Description("The weight of the odds ratio beside the likelihood of the chosen answer.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Weight { get; init; } = 0.1;

    internal override string Type => "orpo";

    internal override bool HasReference => false;

    internal override PreferenceLoss Build(ReferenceModel? reference) => new OrpoLoss(this);
}

internal sealed class OrpoLoss(OrpoOptions options) : PairwiseLoss(reference: null)
{
    // The largest float32 below 1: an answer that is certain has odds all the same.
    private const float Certain = 0.99999994f;

    protected override (Tensor Loss, Tensor Rewards) Pairs(AnswerScores policy, Tensor? reference)
    {
        Tensor means = policy.Mean; // (R, 2), log p per token
        Tensor odds = means.sub(log1p(means.exp().clamp_max(Certain).neg()));
        Tensor loss = means.select(1, 0).neg().sub(nn.functional.logsigmoid(Difference(odds)).mul(options.Weight));
        return (loss, means.mul(options.Weight));
    }
}
