// Shapes: N tokens, C model dimension, E experts, K active experts, G groups.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>Chooses the experts of each token. Always in float32: a rounded logit would choose another expert (Switch, §2.4).</summary>
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

    /// <summary>Routes tokens.</summary>
    /// <param name="tokens">(N, C)</param>
    public Routing Route(Tensor tokens)
    {
        Tensor logits = MixedPrecisionLinear.Apply(tokens.to_type(ScalarType.Float32), weight); // (N, C) → (N, E)
        Tensor affinities = options.Router == RouterKind.Sigmoid ? logits.sigmoid() : logits.softmax(-1);
        Tensor chosen = Choose(affinities.detach()); // (N, K)
        Tensor weights = affinities.gather(1, chosen); // (N, K): without the bias, which only chooses
        if (options.Normalizes) weights = weights.div(weights.sum(-1, keepdim: true).add(Tiny));
        if (options.Scale != 1) weights = weights.mul(options.Scale);
        return new(logits, affinities, chosen, weights);
    }

    /// <summary>Moves the bias of each expert against its load; nothing where there is no bias.</summary>
    /// <param name="tokens">Tokens that each expert was given in a whole optimizer step.</param>
    /// <param name="skip">A scalar on the device: 1 where nothing may change.</param>
    public void Balance(IReadOnlyList<long> tokens, Tensor skip)
    {
        if (balance is null || options.Balance is not BiasBalanceOptions { Rate: var rate }) return;
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        double mean = tokens.Average();
        float[] directions = [.. tokens.Select(count => (float)Math.Sign(mean - count))];
        Tensor change = tensor(directions).to(balance.device).mul(rate);
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
        Tensor open = zeros_like(rank).scatter(1, rank.topk(options.ActiveGroups, -1).indexes, ones_like(rank)); // 1 where a group may be chosen from
        return grouped.masked_fill(open.eq(0).unsqueeze(-1), double.NegativeInfinity).view(-1, options.Experts);
    }
}
