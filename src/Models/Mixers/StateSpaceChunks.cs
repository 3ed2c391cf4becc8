// Shapes: B batch, T positions, H heads, P width of a head, N state, G groups, K chunks, L positions of a chunk.
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>The input of a state space cut into chunks, with what remains of one position at another.</summary>
/// <param name="X">(B, K, L, H, P)</param>
/// <param name="In">(B, K, G, L, N)</param>
/// <param name="Out">(B, K, G, L, N)</param>
/// <param name="Remains">Of what a position (second L) writes, at another of its chunk (first L): (B, K, H, L, L); 0 at earlier ones and in other documents.</param>
/// <param name="RemainsUntil">Of the state before a chunk, at each of its positions: (B, K, L, H); 0 in later documents.</param>
/// <param name="RemainsOfStart">Of the state before a chunk, after it: (B, K, H).</param>
internal readonly record struct StateSpaceChunks(Tensor X, Tensor In, Tensor Out, Tensor Remains, Tensor RemainsUntil, Tensor RemainsOfStart)
{
    /// <summary>Cuts T positions into chunks of at most <paramref name="chunk"/>.</summary>
    public static StateSpaceChunks Of(StateSpaceInput inputs, int chunk)
    {
        chunk = (int)Math.Min(chunk, inputs.X.size(1));
        // Positions that fill up the last chunk neither write (x is 0) nor decay (e⁰ is 1), and are of the last document.
        Tensor logDecay = Cut(inputs.LogDecay, chunk, 0); // (B, K, L, H)
        Tensor? runs = inputs.Runs is null ? null : Cut(inputs.Runs, chunk, null); // (B, K, L)
        Tensor sums = logDecay.cumsum(2);
        Tensor remainsUntil = sums.exp();
        if (runs is not null) remainsUntil = remainsUntil.masked_fill(runs.ne(RunBefore(runs).unsqueeze(-1)).unsqueeze(-1), 0);
        return new(
            Cut(inputs.X, chunk, 0),
            Cut(inputs.In, chunk, 0).transpose(2, 3),
            Cut(inputs.Out, chunk, 0).transpose(2, 3),
            runs is null ? Differences(sums.transpose(2, 3)) : Apart(logDecay.transpose(2, 3), runs),
            remainsUntil,
            remainsUntil.select(2, chunk - 1));
    }

    // Differences are masked before the exponential: those to later positions are positive and would overflow.
    private static Tensor Differences(Tensor sums) =>
        sums.unsqueeze(-1).sub(sums.unsqueeze(-2)).masked_fill(Upper(sums, 1), float.NegativeInfinity).exp(); // (B, K, H, L) → (B, K, H, L, L)

    // Sums from each position on, not differences of sums from the start, which would carry the rounding of the documents before.
    private static Tensor Apart(Tensor logDecay, Tensor runs)
    {
        Tensor rows = logDecay.unsqueeze(-1).expand(-1, -1, -1, -1, logDecay.size(3)); // (B, K, H, L) → (B, K, H, L, L)
        Tensor sums = rows.masked_fill(Upper(logDecay, 0), 0).cumsum(3);
        Tensor hidden = runs.unsqueeze(-1).ne(runs.unsqueeze(-2)).logical_or(Upper(logDecay, 1)); // (B, K, L, L)
        return sums.masked_fill(hidden.unsqueeze(2), float.NegativeInfinity).exp();
    }

    // The document of the position before each chunk (B, K): of the first chunk its own first one, which a state before goes on in.
    private static Tensor RunBefore(Tensor runs)
    {
        Tensor ends = runs.select(2, runs.size(2) - 1); // (B, K)
        return cat([runs.select(2, 0).narrow(1, 0, 1), ends.narrow(1, 0, ends.size(1) - 1)], 1);
    }

    private static Tensor Upper(Tensor like, long diagonal) => ones([like.size(3), like.size(3)], ScalarType.Bool, like.device).triu(diagonal); // (L, L)

    // (B, T, …) → (B, K, L, …), filled up with a value, or where none is given with the last position's.
    private static Tensor Cut(Tensor x, int chunk, int? filling)
    {
        long[] shape = x.shape;
        long missing = (chunk - shape[1] % chunk) % chunk;
        if (missing > 0)
        {
            long[] size = [shape[0], missing, .. shape[2..]];
            x = cat([x, filling is { } value ? full(size, value, x.dtype, x.device) : x.narrow(1, shape[1] - 1, 1).expand(size)], 1);
        }
        return x.reshape([shape[0], -1, chunk, .. shape[2..]]);
    }
}
