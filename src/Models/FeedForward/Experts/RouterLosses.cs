// Shapes: B batch, T positions, N = B·T tokens, E experts, K active experts, S sets of tokens balanced each by itself.
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>What routers add to the objective, per token.</summary>
internal static class RouterLosses
{
    /// <summary>The weighted sum of a layer's losses; null where it has none.</summary>
    /// <param name="options">Which, and their weights.</param>
    /// <param name="routing">Of N tokens.</param>
    /// <param name="rows">Sequences the tokens come from, B.</param>
    /// <param name="counted">(N), float32: 1 where a token counts, 0 where it is padding; null where all count.</param>
    public static Tensor? Of(ExpertsOptions options, Routing routing, long rows, Tensor? counted)
    {
        Tensor? balance = options.Balance is LossBalanceOptions { Coefficient: > 0 } loss
            ? Balance(routing, loss.Over == BalanceScope.Sequence ? rows : 1, counted).mul(loss.Coefficient)
            : null;
        Tensor? size = options.RouterZLoss > 0 ? Mean(routing.Logits.logsumexp(-1).square(), counted).mul(options.RouterZLoss) : null;
        return balance is null ? size : size is null ? balance : balance.add(size);
    }

    /// <summary>E·Σᵢ fᵢ·Pᵢ in each of several sets of tokens, and the mean over them, weighted by their tokens.</summary>
    private static Tensor Balance(Routing routing, long sets, Tensor? counted)
    {
        long experts = routing.Logits.shape[1], active = routing.Chosen.shape[1];
        Tensor given = zeros_like(routing.Logits).scatter(1, routing.Chosen, ones_like(routing.Weights).detach()); // (N, E): 1 where chosen
        Tensor affinities = routing.Affinities.div(routing.Affinities.sum(-1, keepdim: true)); // each row adds up to 1
        counted ??= ones([routing.Logits.shape[0]], device: routing.Logits.device);
        Tensor weights = counted.view(sets, -1, 1); // (S, N/S, 1)
        Tensor tokens = weights.sum(1); // (S, 1)
        Tensor PerSet(Tensor values) => values.view(sets, -1, experts).mul(weights).sum(1); // (N, E) → (S, E)
        // f·P·n with n the tokens of the set: a set without any adds nothing.
        Tensor losses = PerSet(given.detach()).mul(PerSet(affinities)).div(tokens.clamp(min: 1)).sum(-1); // (S)
        return losses.sum().mul((double)experts / active).div(tokens.sum().clamp(min: 1));
    }

    private static Tensor Mean(Tensor values, Tensor? counted) =>
        counted is null ? values.mean() : values.mul(counted).sum().div(counted.sum().clamp(min: 1));
}
