using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>A loss that is least when all experts are given as much (Switch Transformer: Fedus et al. 2021, arXiv 2101.03961, §2.2).</summary>
/// <remarks>E·Σᵢ fᵢ·Pᵢ over the experts, fᵢ the share of the choices that fell on expert i and Pᵢ its mean affinity: 1 when balanced.
/// It is trained on and never reported: the reported loss stays the cross entropy.</remarks>
public sealed record LossBalanceOptions : BalanceOptions
{
    /// <summary>Weight of the loss beside the cross entropy.</summary>
    [Description("Weight of the balance loss beside the cross entropy.")]
    [Range(0.0, 100.0)]
    public double Coefficient { get; init; } = 0.01;

    /// <summary>What is to be balanced.</summary>
    [Description("What is balanced: the rows that are computed together, or every sequence by itself.")]
    public BalanceScope Over { get; init; } = BalanceScope.Batch;
}
