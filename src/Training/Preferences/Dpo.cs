// Shapes: R pairs.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Evaluation.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Preferences;

/// <summary>Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290): −log σ(β (h_chosen − h_rejected)), h being how much
/// likelier an answer is than the reference finds it.</summary>
[Description("Direct preference optimization: the chosen answer's gain in log-probability over the reference is to be above the rejected " +
    "one's.")]
public sealed record DpoOptions : ReferencedPreferenceOptions
{
    /// <summary>ε, the share of pairs that are held to be the wrong way round (cDPO, Mitchell 2023).</summary>
    [Description("The share of pairs that are held to be judged the wrong way round.")]
    [Range(0.0, 0.5, MaximumIsExclusive = true)]
    public double LabelSmoothing { get; init; }

    internal override string Type => "dpo";

    internal override PreferenceLoss Build(ReferenceModel? reference) => new DpoLoss(this, reference!);
}

internal sealed class DpoLoss(DpoOptions options, ReferenceModel reference) : PairwiseLoss(reference)
{
    protected override (Tensor Loss, Tensor Rewards) Pairs(AnswerScores policy, Tensor? reference)
    {
        Tensor rewards = policy.LogProbability.sub(reference!).mul(options.Beta), margin = Difference(rewards); // (R, 2), (R)
        Tensor loss = nn.functional.logsigmoid(margin).neg();
        if (options.LabelSmoothing > 0)
            loss = loss.mul(1 - options.LabelSmoothing).sub(nn.functional.logsigmoid(margin.neg()).mul(options.LabelSmoothing));
        return (loss, rewards);
    }
}

/// <summary>Identity preference optimization (Azar et al. 2023, arXiv 2310.12036): (h_chosen − h_rejected − 1/(2β))², which does not drive
/// the difference to infinity where all judge alike. h is per token, as its authors do it in TRL.</summary>
[Description("Identity preference optimization: the difference of both gains per token is to be 1 / (2 beta), not ever more.")]
public sealed record IpoOptions : ReferencedPreferenceOptions
{
    internal override string Type => "ipo";

    internal override PreferenceLoss Build(ReferenceModel? reference) => new IpoLoss(this, reference!);
}

internal sealed class IpoLoss(IpoOptions options, ReferenceModel reference) : PairwiseLoss(reference)
{
    protected override (Tensor Loss, Tensor Rewards) Pairs(AnswerScores policy, Tensor? reference)
    {
        Tensor gains = policy.LogProbability.sub(reference!).div(policy.Tokens.clamp_min(1)); // (R, 2)
        return (Difference(gains).sub(1 / (2 * options.Beta)).square(), gains.mul(options.Beta));
    }
}
