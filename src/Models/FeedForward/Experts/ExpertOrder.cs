// Shapes: N tokens, K active experts, E experts.
using static TorchSharp.torch;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>The choices of all tokens, sorted by expert: those of one expert stand together, in the order of the tokens.</summary>
/// <param name="Order">(N·K), int64: which choice stands at each place.</param>
/// <param name="Places">(N·K), int64: at which place each choice stands.</param>
/// <param name="Counts">How many each expert has, on the host.</param>
internal readonly record struct ExpertOrder(Tensor Order, Tensor Places, long[] Counts)
{
    /// <summary>Sorts choices.</summary>
    /// <param name="chosen">(N, K), int64.</param>
    /// <param name="experts">E.</param>
    public static ExpertOrder Of(Tensor chosen, int experts)
    {
        Tensor choices = chosen.reshape(-1); // (N, K) → (N·K)
        Tensor order = choices.sort(0, stable: true).Indices;
        Tensor places = empty_like(order).scatter(0, order, arange(order.shape[0], device: order.device));
        long[] counts = choices.bincount(null, minlength: experts).cpu().data<long>().ToArray();
        return new(order, places, counts);
    }
}
