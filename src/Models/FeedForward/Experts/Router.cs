// Shapes: B batch, T positions, N = B·T tokens, C model dimension, E experts, K active experts, G groups, S balanced sets.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>Chooses each token's experts, in float32: a rounded logit would choose others (Switch, §2.4).</summary>
internal sealed class Router : nn.Module
{
    private const double Tiny = 1e-20; // where all affinities of a token have underflowed

    private readonly Parameter weight; // (E, C)
    private readonly Tensor? balance; // (E), changed by Balance alone
    private readonly ExpertsOptions options;

    public Router(int dim, ExpertsOptions options)
        : base(nameof(Router))
    {
        this.options = options;
        weight = new Parameter(empty(options.Experts, dim));
        balance = options.Balance is BiasBalanceOptions ? zeros(options.Experts) : null;
        RegisterComponents();
    }

    public Routing Route(Tensor tokens) // (N, C)
    {
        Tensor logits = MixedPrecisionLinear.Apply(tokens.to_type(ScalarType.Float32), weight); // (N, C) → (N, E)
        Tensor affinities = options.Router == RouterKind.Sigmoid ? logits.sigmoid() : logits.softmax(-1);
        Tensor chosen = Choose(affinities.detach()); // (N, K)
        Tensor weights = affinities.gather(1, chosen); // (N, K): without the bias, which only chooses
        if (options.Normalizes) weights = weights.div(weights.sum(-1, keepdim: true).add(Tiny));
        if (options.Scale != 1) weights = weights.mul(options.Scale);
        return new(logits, affinities, chosen, weights);
    }

    /// <summary>Moves each expert's bias against its load of the last step, unless <paramref name="skip"/> is 1.</summary>
    public void Balance(IReadOnlyList<long> tokens, Tensor skip)
    {
        if (balance is null || options.Balance is not BiasBalanceOptions { Rate: var rate }) return;
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        double mean = tokens.Average();
        float[] directions = [.. tokens.Select(count => (float)Math.Sign(mean - count))];
        Tensor change = tensor(directions).ToDevice(balance.device).mul(rate);
        balance.add_(change.mul(skip.neg().add(1)));
    }

    private Tensor Choose(Tensor affinities)
    {
        using var gradients = no_grad();
        Tensor scores = balance is null ? affinities : affinities.add(balance);
        if (options.ActiveGroups < options.Groups) scores = InBestGroups(scores);
        return scores.topk(options.Active, -1).indexes;
    }

    // DeepSeek-V2 (arXiv 2405.04434, §2.2.2) ranks groups by their best expert, DeepSeek-V3 by the sum of their two best.
    private Tensor InBestGroups(Tensor scores)
    {
        long size = options.Experts / options.Groups;
        Tensor grouped = scores.view(-1, options.Groups, size); // (N, G, E/G)
        int best = options.Router == RouterKind.Sigmoid ? (int)Math.Min(2, size) : 1;
        Tensor rank = grouped.topk(best, -1).values.sum(-1); // (N, G)
        // 1 where a group may be chosen from
        Tensor open = zeros_like(rank).scatter(1, rank.topk(options.ActiveGroups, -1).indexes, ones_like(rank));
        return grouped.masked_fill(open.eq(0).unsqueeze(-1), double.NegativeInfinity).view(-1, options.Experts);
    }
}

/// <summary>Logits and affinities, (N, E) float32, the chosen experts, (N, K) int64, and their weights, (N, K) float32.</summary>
internal readonly record struct Routing(Tensor Logits, Tensor Affinities, Tensor Chosen, Tensor Weights);

internal static class RouterLosses
{
    /// <summary>The weighted sum over the tokens of all sequences that <paramref name="counted"/>, (N), has 1 for; null for none.</summary>
    public static Tensor? Of(ExpertsOptions options, Routing routing, long rows, Tensor? counted)
    {
        Tensor? balance = options.Balance is LossBalanceOptions { Coefficient: > 0 } loss
            ? Balance(routing, loss.Over == BalanceScope.Sequence ? rows : 1, counted).mul(loss.Coefficient)
            : null;
        Tensor? size = options.RouterZLoss > 0 ? Mean(routing.Logits.logsumexp(-1).square(), counted).mul(options.RouterZLoss) : null;
        return balance is null ? size : size is null ? balance : balance.add(size);
    }

    /// <summary>E·Σᵢ fᵢ·Pᵢ of each set of tokens, and the mean over sets weighted by their tokens.</summary>
    private static Tensor Balance(Routing routing, long sets, Tensor? counted)
    {
        long experts = routing.Logits.shape[1], active = routing.Chosen.shape[1];
        Tensor given = zeros_like(routing.Logits).scatter(1, routing.Chosen, ones_like(routing.Weights).detach()); // (N, E): 1 where chosen
        Tensor affinities = routing.Affinities.div(routing.Affinities.sum(-1, keepdim: true)); // each row adds up to 1
        counted ??= ones([routing.Logits.shape[0]], device: routing.Logits.device);
        Tensor weights = counted.view(sets, -1, 1); // (S, N/S, 1)
        Tensor tokens = weights.sum(1); // (S, 1)
        Tensor PerSet(Tensor values) => values.view(sets, -1, experts).mul(weights).sum(1); // (N, E) → (S, E)
        // f·P·n with n the tokens of the set: an empty set adds nothing.
        Tensor losses = PerSet(given.detach()).mul(PerSet(affinities)).div(tokens.clamp(min: 1)).sum(-1); // (S)
        return losses.sum().mul((double)experts / active).div(tokens.sum().clamp(min: 1));
    }

    private static Tensor Mean(Tensor values, Tensor? counted) =>
        counted is null ? values.mean() : values.mul(counted).sum().div(counted.sum().clamp(min: 1));
}
