namespace Trainer.Evaluation.Perplexity;

/// <summary>The loss of tokens that were predicted from about equally many tokens.</summary>
/// <param name="From">The fewest tokens that any of them was predicted from, itself not among them.</param>
/// <param name="To">The most.</param>
/// <param name="Tokens">How many tokens were scored there.</param>
/// <param name="Loss">Nats per token.</param>
public sealed record PositionLoss(int From, int To, long Tokens, double Loss)
{
    /// <summary>Sums by position, put together in parts of equal width; positions where nothing was scored are left out.</summary>
    /// <param name="sums">Σ −log p by the place in the window, in nats.</param>
    /// <param name="counts">Tokens by the place in the window.</param>
    /// <param name="bins">How many parts at most.</param>
    internal static IReadOnlyList<PositionLoss> Binned(ReadOnlySpan<double> sums, ReadOnlySpan<long> counts, int bins)
    {
        int width = (sums.Length + bins - 1) / bins;
        List<PositionLoss> parts = [];
        for (int from = 0; from < sums.Length; from += width)
        {
            int to = Math.Min(from + width, sums.Length);
            (double sum, long tokens) = (0, 0);
            for (int place = from; place < to; place++) (sum, tokens) = (sum + sums[place], tokens + counts[place]);
            if (tokens > 0) parts.Add(new(from + 1, to, tokens, sum / tokens)); // the place 0 predicts from one token
        }
        return parts;
    }
}
