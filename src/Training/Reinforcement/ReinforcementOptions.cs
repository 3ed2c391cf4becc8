using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Training.Reinforcement;

/// <summary>Learning from rewards: a model answers the prompts of its data and is trained on its own answers, by how good they are.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(GrpoOptions), "grpo")]
public abstract record ReinforcementOptions
{
    /// <summary>Answers to each prompt; a step has <c>training.batchSize</c> answers in all.</summary>
    [Description("Answers to each prompt; a step has training.batchSize answers in all, and so batchSize / group prompts.")]
    [Range(2, 1 << 16)]
    public int Group { get; init; } = 8;

    /// <summary>The most tokens of an answer, with the one that ends it.</summary>
    [Description("The most tokens of an answer, with the one that ends it; longer ones are cut, and wrong.")]
    [Range(1, 1 << 20)]
    public int MaximumTokens { get; init; } = 64;

    /// <summary>Divides the logits, when answers are drawn and in the loss.</summary>
    [Description("Divides the logits when answers are drawn, and in the loss: above 1, answers differ more.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Temperature { get; init; } = 1;

    /// <summary>Optimizer steps on the answers to the same prompts.</summary>
    [Description("Optimizer steps on the same answers before new ones are drawn. With 1 the model is always the one that wrote them, so " +
        "that nothing is clipped.")]
    [Range(1, 1 << 16)]
    public int Updates { get; init; } = 1;

    /// <summary>What an answer is worth.</summary>
    [Description("What an answer is worth, from 0 to 1.")]
    public RewardOptions Reward { get; init; } = new ExactRewardOptions();

    /// <summary>Whether a reference model is needed besides.</summary>
    internal abstract bool HasReference { get; }

    /// <summary>The advantages of the answers to one prompt.</summary>
    internal abstract double[] Advantages(ReadOnlySpan<double> rewards);
}

/// <summary>Group relative policy optimization (Shao et al. 2024, arXiv 2402.03300): an answer's advantage is by how much its reward is
/// above the mean of the answers to the same prompt, so that no value function is learned.</summary>
[Description("Group relative policy optimization: an answer is as good as its reward is above that of the other answers to its prompt.")]
public sealed record GrpoOptions : ReinforcementOptions, IValidated
{
    // As in TRL.
    private const double Epsilon = 1e-4;

    /// <summary>The weight of the divergence from the weights of <c>initialize.from</c>; 0 for none, without a reference model.</summary>
    [Description("The weight of the divergence from the model of initialize.from; 0: none, and no second model is held.")]
    [Range(0.0, 1e6)]
    public double KlWeight { get; init; } = 0.04;

    /// <summary>ε: below 1 − ε the ratio of a token's probabilities, now and when it was drawn, brings nothing more.</summary>
    [Description("How far the probability of a token may move from that with which it was drawn, as a share, until it brings nothing " +
        "more. Counts where updates is more than 1.")]
    [Range(0.0, 1.0, MinimumIsExclusive = true)]
    public double Clip { get; init; } = 0.2;

    /// <summary>ε upwards; <see cref="Clip"/> when absent. A larger one lets rare tokens grow (DAPO, Yu et al. 2025, arXiv
    /// 2503.14476).</summary>
    [Description("The same upwards; by default as clip. A larger one, such as 0.28, lets unlikely tokens grow.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double? ClipHigher { get; init; }

    /// <summary>How rewards of a group become advantages.</summary>
    [Description("standardized: the reward less the group's mean, over its standard deviation; centered: without the latter, which gives " +
        "prompts that are nearly always or nearly never answered no more weight than others.")]
    public AdvantageKind Advantage { get; init; }

    /// <summary>What the loss is a mean over.</summary>
    [Description("tokens: the mean over all tokens of a step; sequences: over answers, each with the mean of its tokens, as in the " +
        "paper; constant: the sum over batchSize × maximumTokens, so that long answers count as short ones do.")]
    public PolicyAverage Average { get; init; }

    internal double Higher => ClipHigher ?? Clip;

    internal override bool HasReference => KlWeight > 0;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (ClipHigher < Clip)
            yield return new("clipHigher", $"clipHigher ({ClipHigher}) must be clip ({Clip}) or more; leave it out for the same both ways");
    }

    internal override double[] Advantages(ReadOnlySpan<double> rewards)
    {
        double mean = 0, squares = 0;
        foreach (double reward in rewards) mean += reward / rewards.Length;
        foreach (double reward in rewards) squares += (reward - mean) * (reward - mean);
        double scale = Advantage == AdvantageKind.Standardized ? Math.Sqrt(squares / (rewards.Length - 1)) + Epsilon : 1;
        double[] advantages = new double[rewards.Length];
        for (int i = 0; i < rewards.Length; i++) advantages[i] = (rewards[i] - mean) / scale;
        return advantages;
    }
}

/// <summary>How rewards of a group become advantages.</summary>
public enum AdvantageKind
{
    /// <summary>(r − mean) / (standard deviation + 1e-4), with n − 1, as TRL.</summary>
    Standardized,

    /// <summary>r − mean (Dr. GRPO, Liu et al. 2025, arXiv 2503.20783).</summary>
    Centered,
}

/// <summary>What a policy's loss is a mean over.</summary>
public enum PolicyAverage
{
    /// <summary>All tokens of a step (DAPO).</summary>
    Tokens,

    /// <summary>Answers, each with the mean of its tokens (GRPO).</summary>
    Sequences,

    /// <summary>Answers, each with its sum over the most tokens of one (Dr. GRPO).</summary>
    Constant,
}
