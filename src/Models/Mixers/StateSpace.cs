// Shapes: B batch, T positions, H heads, P width of a head, N state, G groups, J = H/G heads of a group, K chunks, L positions of a chunk.
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>X (B, T, H, P) is heads times steps, LogDecay (B, T, H) at most 0; consecutive heads share In and Out (B, T, G, N).</summary>
internal readonly record struct StateSpaceInput(Tensor X, Tensor LogDecay, Tensor In, Tensor Out)
{
    /// <summary>The document of each position, in order (B, T), at whose change the state restarts; null if each row is one.</summary>
    public Tensor? Runs { get; init; }
}

/// <summary>h_t = e^(a_t)·h_(t−1) + x_t ⊗ in_t, y_t = h_t·out_t, in two forms with the same result.</summary>
internal static class StateSpace
{
    /// <summary>Position by position: (B, T, H, P), and the new states. The first document continues the old, (B, H, P, N).</summary>
    public static (Tensor Result, Tensor States) Recurrent(StateSpaceInput inputs, Tensor? states = null)
    {
        (Tensor x, Tensor decay, Tensor into, Tensor from) = (inputs.X, inputs.LogDecay.exp(), inputs.In, inputs.Out);
        long sharing = x.size(2) / into.size(2);
        List<Tensor> results = [];
        for (int t = 0; t < x.size(1); t++)
        {
            Tensor remains = decay.select(1, t); // (B, H)
            if (t > 0 && inputs.Runs is { } runs)
                remains = remains.masked_fill(runs.select(1, t).ne(runs.select(1, t - 1)).unsqueeze(-1), 0);
            // (B, H, P, 1)·(B, H, 1, N) → (B, H, P, N)
            Tensor written = x.select(1, t).unsqueeze(-1).mul(PerHead(into.select(1, t), sharing).unsqueeze(-2));
            states = states is null ? written : states.mul(remains.unsqueeze(-1).unsqueeze(-1)).add(written);
            // (B, H, P, N)·(B, H, N, 1) → (B, H, P)
            results.Add(states.matmul(PerHead(from.select(1, t), sharing).unsqueeze(-1)).squeeze(-1));
        }
        return (stack([.. results], 1), states!);
    }

    /// <summary>Chunk by chunk, as matrix products (Dao and Gu 2024, §6), in O(T·L) time and memory.</summary>
    public static (Tensor Result, Tensor States) Chunked(StateSpaceInput inputs, Tensor? states, int chunk)
    {
        StateSpaceChunks chunks = StateSpaceChunks.Of(inputs, chunk);
        Tensor result = Within(chunks); // (B, K, L, H, P)
        (Tensor? before, Tensor after) = Carry(chunks, states);
        if (before is not null) result = result.add(Across(chunks, before));
        return (result.flatten(1, 2).narrow(1, 0, inputs.X.size(1)), after);
    }

    // Within chunks: (out·in ⊙ decay)·x.
    private static Tensor Within(StateSpaceChunks chunks)
    {
        Tensor remains = chunks.Remains; // (B, K, H, L, L)
        Tensor products = chunks.Out.matmul(chunks.In.transpose(3, 4)); // (B, K, G, L, L)
        long[] shape = remains.shape;
        // (B, K, G, J, L, L)
        Tensor weights = remains.reshape(shape[0], shape[1], products.size(2), -1, shape[3], shape[4]).mul(products.unsqueeze(3));
        return weights.flatten(2, 3).matmul(chunks.X.transpose(2, 3)).transpose(2, 3); // (B, K, H, L, L)·(B, K, H, L, P) → (B, K, L, H, P)
    }

    // The states before each chunk (B, K, H, P, N), null if all are zero, and after the last.
    private static (Tensor? Before, Tensor After) Carry(StateSpaceChunks chunks, Tensor? states)
    {
        Tensor[] made = Made(chunks).unbind(1); // (B, H, P, N) for each chunk
        if (states is null && made.Length == 1) return (null, made[0]);
        Tensor[] remains = chunks.RemainsOfStart.unsqueeze(-1).unsqueeze(-1).unbind(1); // (B, H, 1, 1) for each chunk
        states ??= zeros_like(made[0]);
        List<Tensor> before = [];
        for (int k = 0; k < made.Length; k++)
        {
            before.Add(states);
            states = states.mul(remains[k]).add(made[k]);
        }
        return (stack([.. before], 1), states);
    }

    // The change of the states by each chunk alone.
    private static Tensor Made(StateSpaceChunks chunks)
    {
        Tensor untilEnd = chunks.Remains.select(3, chunks.Remains.size(3) - 1).transpose(2, 3); // (B, K, L, H)
        Tensor weighted = chunks.X.mul(untilEnd.unsqueeze(-1)); // (B, K, L, H, P)
        long[] shape = weighted.shape;
        Tensor columns = weighted.reshape(shape[0], shape[1], shape[2], chunks.In.size(2), -1).permute(0, 1, 3, 4, 2); // (B, K, G, J·P, L)
        return columns.matmul(chunks.In).reshape(shape[0], shape[1], shape[3], shape[4], -1); // (B, K, G, J·P, N) → (B, K, H, P, N)
    }

    // The contribution of the states before a chunk to its positions.
    private static Tensor Across(StateSpaceChunks chunks, Tensor before)
    {
        long[] shape = chunks.X.shape;
        Tensor columns = before.reshape(shape[0], shape[1], chunks.Out.size(2), -1, before.size(4)).transpose(3, 4); // (B, K, G, N, J·P)
        Tensor read = chunks.Out.matmul(columns).transpose(2, 3).reshape(shape); // (B, K, G, L, J·P) → (B, K, L, H, P)
        return read.mul(chunks.RemainsUntil.unsqueeze(-1));
    }

    // (B, G, N) → (B, H, N)
    private static Tensor PerHead(Tensor groups, long sharing) => sharing == 1 ? groups : groups.repeat_interleave(sharing, 1);
}

/// <summary>X (B, K, L, H, P), In and Out (B, K, G, L, N), and decays, which are 0 between documents and back in time.</summary>
/// <remarks>Remains is from one position of a chunk (second L) to another (first L): (B, K, H, L, L); RemainsUntil from the state before a
/// chunk to each of its positions: (B, K, L, H); RemainsOfStart to its end: (B, K, H).</remarks>
internal readonly record struct StateSpaceChunks(
    Tensor X, Tensor In, Tensor Out, Tensor Remains, Tensor RemainsUntil, Tensor RemainsOfStart)
{
    public static StateSpaceChunks Of(StateSpaceInput inputs, int chunk)
    {
        chunk = (int)Math.Min(chunk, inputs.X.size(1));
        // Padding of the last chunk neither writes (x = 0) nor decays (e⁰ = 1), and is of the last document.
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

    // Masked before the exponential, as differences to later positions are positive and would overflow.
    private static Tensor Differences(Tensor sums) =>
        // (B, K, H, L) → (B, K, H, L, L)
        sums.unsqueeze(-1).sub(sums.unsqueeze(-2)).masked_fill(Upper(sums, 1), float.NegativeInfinity).exp();

    // Sums from each position on: differences of sums from the start would carry the rounding of earlier documents.
    private static Tensor Apart(Tensor logDecay, Tensor runs)
    {
        Tensor rows = logDecay.unsqueeze(-1).expand(-1, -1, -1, -1, logDecay.size(3)); // (B, K, H, L) → (B, K, H, L, L)
        Tensor sums = rows.masked_fill(Upper(logDecay, 0), 0).cumsum(3);
        Tensor hidden = runs.unsqueeze(-1).ne(runs.unsqueeze(-2)).logical_or(Upper(logDecay, 1)); // (B, K, L, L)
        return sums.masked_fill(hidden.unsqueeze(2), float.NegativeInfinity).exp();
    }

    // The document before each chunk (B, K); for the first chunk its own first, which continues the preceding state.
    private static Tensor RunBefore(Tensor runs)
    {
        Tensor ends = runs.select(2, runs.size(2) - 1); // (B, K)
        return cat([runs.select(2, 0).narrow(1, 0, 1), ends.narrow(1, 0, ends.size(1) - 1)], 1);
    }

    // (L, L)
    private static Tensor Upper(Tensor like, long diagonal) =>
        ones([like.size(3), like.size(3)], ScalarType.Bool, like.device).triu(diagonal);

    // (B, T, …) → (B, K, L, …), padded with a value, or with the last position's if null.
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
