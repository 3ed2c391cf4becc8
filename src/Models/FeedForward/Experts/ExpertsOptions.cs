using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>A mixture of experts: each token goes to a few of several feed-forward layers (Shazeer et al. 2017, arXiv 1701.06538), and to
/// those all tokens share (DeepSeekMoE, Dai et al. 2024, arXiv 2401.06066). No token is dropped: experts have no capacity limit.</summary>
public sealed record ExpertsOptions : FeedForwardOptions
{
    /// <summary>Experts to choose from, E.</summary>
    [Description("Experts to choose from.")]
    [Range(2, 4096)]
    public int Experts { get; init; } = 8;

    /// <summary>Active experts of each token, K.</summary>
    [Description("Experts that each token is given to.")]
    [Range(1, 4096)]
    public int Active { get; init; } = 2;

    /// <summary>Shared experts, which every token goes through.</summary>
    [Description("Experts that every token goes through beside those chosen for it.")]
    [Range(0, 4096)]
    public int Shared { get; init; }

    /// <summary>The activation of each expert.</summary>
    [Description("The function inside each expert.")]
    public ActivationKind Activation { get; init; } = ActivationKind.SwiGlu;

    /// <summary>How the load of experts is balanced.</summary>
    [Description("What keeps all experts in use: a loss, or a bias on the choice.")]
    public BalanceOptions Balance { get; init; } = new LossBalanceOptions();

    /// <summary>Weight of the router's z-loss, which keeps its logits small (ST-MoE: Zoph et al. 2022, arXiv 2202.08906, §3.4).</summary>
    [Description("Weight of the router's z-loss, which keeps its logits small; 0 for none.")]
    [Range(0.0, 100.0)]
    public double RouterZLoss { get; init; } = 0.001;

    /// <summary>The function from logits to affinities.</summary>
    [Description("How the router's logits become affinities.")]
    public RouterKind Router { get; init; } = RouterKind.Softmax;

    /// <summary>Whether a token's weights are normalised to sum to 1; by default unless only one expert is active.</summary>
    [Description("Whether the weights of a token's experts are made to add up to 1; by default, unless only one is active.")]
    public bool? NormalizeWeights { get; init; }

    /// <summary>Factor on the weights.</summary>
    [Description("What the weights of the chosen experts are multiplied with.")]
    [Range(1e-6, 1e6)]
    public double Scale { get; init; } = 1;

    /// <summary>Groups of adjacent experts, of which a token may choose from <see cref="ActiveGroups"/> only.</summary>
    [Description("Groups of neighbouring experts; a token chooses among the experts of its activeGroups best groups.")]
    [Range(1, 4096)]
    public int Groups { get; init; } = 1;

    /// <summary>Groups a token may choose from.</summary>
    [Description("Groups that a token may choose from.")]
    [Range(1, 4096)]
    public int ActiveGroups { get; init; } = 1;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate() => ExpertsValidation.Of(this);

    internal bool Normalizes => NormalizeWeights ?? Active > 1;

    internal override int DefaultWidth(int dim) => FeedForward.Activation.Of(Activation).DefaultWidth(dim);

    internal override PartCost Cost(ModelOptions model) => ExpertsCost.Of(this, model);

    internal override FeedForwardModule Build(StackContext stack) => new ExpertsFeedForward(stack, this);
}

/// <summary>How the router's logits become affinities.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RouterKind>))]
public enum RouterKind
{
    /// <summary>The experts compete: softmax over all of them (Switch, Mixtral, DeepSeek-V2).</summary>
    [JsonStringEnumMemberName("softmax")]
    Softmax,

    /// <summary>Each expert by itself: sigmoid (DeepSeek-V3).</summary>
    [JsonStringEnumMemberName("sigmoid")]
    Sigmoid,
}

/// <summary>How the router's load is balanced, of which padding is no part. A new kind is a record and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LossBalanceOptions), "loss")]
[JsonDerivedType(typeof(BiasBalanceOptions), "bias")]
[JsonDerivedType(typeof(NoBalanceOptions), "none")]
public abstract record BalanceOptions;

/// <summary>An auxiliary loss, least when the load is even (Switch Transformer: Fedus et al. 2021, arXiv 2101.03961, §2.2).</summary>
/// <remarks>E·Σᵢ fᵢ·Pᵢ, fᵢ an expert's share of choices, Pᵢ its mean affinity: 1 when balanced. Not part of the reported loss.</remarks>
public sealed record LossBalanceOptions : BalanceOptions
{
    /// <summary>Weight of the loss.</summary>
    [Description("Weight of the balance loss beside the cross entropy.")]
    [Range(0.0, 100.0)]
    public double Coefficient { get; init; } = 0.01;

    /// <summary>The tokens over which the load is balanced.</summary>
    [Description("What is balanced: the rows that are computed together, or every sequence by itself.")]
    public BalanceScope Over { get; init; } = BalanceScope.Batch;
}

/// <summary>The tokens over which the load is balanced.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<BalanceScope>))]
public enum BalanceScope
{
    /// <summary>All rows that are computed together: a micro-batch, or a thread's part of one (Switch).</summary>
    [JsonStringEnumMemberName("batch")]
    Batch,

    /// <summary>Each row by itself (DeepSeek-V3, arXiv 2412.19437, §2.1.2): stricter, and the same however rows are shared out.</summary>
    [JsonStringEnumMemberName("sequence")]
    Sequence,
}

/// <summary>A bias for each expert that only affects the choice, and no gradient passes: after a step it rises for underloaded experts and
/// falls for the others (DeepSeek-V3: arXiv 2412.19437, §2.1.2; Wang et al. 2024, arXiv 2408.15664).</summary>
public sealed record BiasBalanceOptions : BalanceOptions
{
    /// <summary>Change of a bias after a step.</summary>
    [Description("By how much an expert's bias moves after a step.")]
    [Range(0.0, 1.0)]
    public double Rate { get; init; } = 0.001;
}

/// <summary>No balancing, for models whose router is not trained further.</summary>
public sealed record NoBalanceOptions : BalanceOptions;

internal static class ExpertsValidation
{
    public static IEnumerable<Problem> Of(ExpertsOptions options)
    {
        (int experts, int active, int groups, int activeGroups) = (options.Experts, options.Active, options.Groups, options.ActiveGroups);
        if (experts < 1 || active < 1 || groups < 1 || activeGroups < 1) yield break;
        if (active > experts)
            yield return new("active", $"active ({active}) is more than the experts there are ({experts}); use at most {experts}");
        if (active == 1 && options.NormalizeWeights is true)
            yield return new(
                "normalizeWeights",
                "with active 1 a normalised weight is always 1 and the router would learn nothing from the loss; use false");
        if (experts % groups != 0)
            yield return new(
                "groups", $"experts ({experts}) must be a multiple of groups ({groups}); try {Divisors.Near(experts, groups)}");
        else if (activeGroups > groups)
            yield return new(
                "activeGroups", $"activeGroups ({activeGroups}) is more than the groups there are ({groups}); use at most {groups}");
        else if (active <= experts && activeGroups * (experts / groups) < active)
            yield return new("activeGroups",
                $"{activeGroups} of {groups} groups hold {activeGroups * (experts / groups)} experts, fewer than active ({active}); " +
                $"use at least {(active * groups + experts - 1) / experts}");
    }
}

/// <summary>Memory for all experts, work for the active ones.</summary>
internal static class ExpertsCost
{
    public static PartCost Of(ExpertsOptions options, ModelOptions model)
    {
        (int dim, int width) = (model.Dim, options.Width(model.Dim));
        bool bias = options.Bias ?? model.Bias;
        Activation activation = Activation.Of(options.Activation);
        PartCost Layer(int hidden) => PartCost.Linear(dim, activation.InputWidth(hidden), bias) + PartCost.Linear(hidden, dim, bias);

        PartCost expert = Layer(width), used = options.Active * expert;
        PartCost router = PartCost.Linear(dim, options.Experts, bias: false);
        PartCost always = router + (options.Shared > 0 ? Layer(options.Shared * width) : default);
        return (used + always) with
        {
            // All experts are learned; a token is multiplied with its active ones.
            Parameters = always.Parameters + options.Experts * expert.Parameters,
            IdleParameters = (options.Experts - options.Active) * expert.Parameters,
        };
    }
}
