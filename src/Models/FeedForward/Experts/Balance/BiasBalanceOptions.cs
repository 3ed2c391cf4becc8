using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>A number for each expert that is added when experts are chosen, and only then: after every optimizer step it rises for those
/// that were given too little and falls for the others (DeepSeek-V3: arXiv 2412.19437, §2.1.2; Wang et al. 2024, arXiv 2408.15664).</summary>
/// <remarks>No gradient passes through it, so balance costs nothing of the language model's own objective.</remarks>
public sealed record BiasBalanceOptions : BalanceOptions
{
    /// <summary>What is added or taken away after a step.</summary>
    [Description("By how much an expert's bias moves after a step.")]
    [Range(0.0, 1.0)]
    public double Rate { get; init; } = 0.001;
}
