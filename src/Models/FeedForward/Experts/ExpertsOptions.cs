using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>Several feed-forward layers of which each token is given to a few, and perhaps some that all tokens go through
/// (Shazeer et al. 2017, arXiv 1701.06538; shared experts: DeepSeekMoE, Dai et al. 2024, arXiv 2401.06066).</summary>
/// <remarks>No token is ever dropped: an expert computes whatever it is given.</remarks>
public sealed record ExpertsOptions : FeedForwardOptions
{
    /// <summary>Experts to choose from, E.</summary>
    [Description("Experts to choose from.")]
    [Range(2, 4096)]
    public int Experts { get; init; } = 8;

    /// <summary>Experts that each token is given to, K.</summary>
    [Description("Experts that each token is given to.")]
    [Range(1, 4096)]
    public int Active { get; init; } = 2;

    /// <summary>Experts that every token goes through beside those chosen for it.</summary>
    [Description("Experts that every token goes through beside those chosen for it.")]
    [Range(0, 4096)]
    public int Shared { get; init; }

    /// <summary>The function inside each expert.</summary>
    [Description("The function inside each expert.")]
    public ActivationKind Activation { get; init; } = ActivationKind.SwiGlu;

    /// <summary>What keeps all experts in use.</summary>
    [Description("What keeps all experts in use: a loss, or a bias on the choice.")]
    public BalanceOptions Balance { get; init; } = new LossBalanceOptions();

    /// <summary>Weight of the squared logarithm of the router's softmax denominator (ST-MoE: Zoph et al. 2022, arXiv 2202.08906, §3.4), which
    /// keeps its logits small.</summary>
    [Description("Weight of the router's z-loss, which keeps its logits small; 0 for none.")]
    [Range(0.0, 100.0)]
    public double RouterZLoss { get; init; } = 0.001;

    /// <summary>How the router's logits become affinities.</summary>
    [Description("How the router's logits become affinities.")]
    public RouterKind Router { get; init; } = RouterKind.Softmax;

    /// <summary>Whether the weights of a token's experts are made to add up to 1; null for yes, but with a single active expert.</summary>
    [Description("Whether the weights of a token's experts are made to add up to 1; by default, unless only one is active.")]
    public bool? NormalizeWeights { get; init; }

    /// <summary>What the weights of the experts are multiplied with.</summary>
    [Description("What the weights of the chosen experts are multiplied with.")]
    [Range(1e-6, 1e6)]
    public double Scale { get; init; } = 1;

    /// <summary>Groups of neighbouring experts (one device's, once), of which a token may choose from <see cref="ActiveGroups"/> only.</summary>
    [Description("Groups of neighbouring experts; a token chooses among the experts of its activeGroups best groups.")]
    [Range(1, 4096)]
    public int Groups { get; init; } = 1;

    /// <summary>Groups that a token may choose from.</summary>
    [Description("Groups that a token may choose from.")]
    [Range(1, 4096)]
    public int ActiveGroups { get; init; } = 1;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate() => ExpertsValidation.Of(this);

    /// <summary>Whether a token's weights add up to 1 before they are scaled.</summary>
    internal bool Normalizes => NormalizeWeights ?? Active > 1;

    internal override int DefaultWidth(int dim) => FeedForward.Activation.Of(Activation).DefaultWidth(dim);

    internal override PartCost Cost(ModelOptions model) => ExpertsCost.Of(this, model);

    internal override FeedForwardModule Build(ModelParts parts) => new ExpertsFeedForward(parts, this);
}
