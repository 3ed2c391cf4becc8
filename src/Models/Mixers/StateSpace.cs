// Shapes: B batch, T positions, H heads, P width of a head, N state, G groups, J = H/G heads of a group, K chunks, L positions of a chunk.
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>What goes through a state space.</summary>
/// <param name="X">The heads, times their steps: (B, T, H, P).</param>
/// <param name="LogDecay">The logarithm of what remains of the state, not above 0: (B, T, H).</param>
/// <param name="In">Where a head is written to in its state: (B, T, G, N); consecutive heads share.</param>
/// <param name="Out">Where the result is read from: (B, T, G, N).</param>
internal readonly record struct StateSpaceInput(Tensor X, Tensor LogDecay, Tensor In, Tensor Out)
{
    /// <summary>The number of the document that each position belongs to, in order (B, T): where it changes the state starts anew. Null where
    /// a row is one document.</summary>
    public Tensor? Runs { get; init; }
}

/// <summary>The recurrence h_t = e^(a_t)·h_(t−1) + x_t ⊗ in_t, y_t = h_t·out_t, in two forms with the same result.</summary>
internal static class StateSpace
{
    /// <summary>Position by position: the definition.</summary>
    /// <param name="inputs">T positions.</param>
    /// <param name="states">The states before (B, H, P, N), which the first document goes on from; null for zeros.</param>
    /// <returns>(B, T, H, P), and the states after.</returns>
    public static (Tensor Result, Tensor States) Recurrent(StateSpaceInput inputs, Tensor? states = null)
    {
        (Tensor x, Tensor decay, Tensor into, Tensor from) = (inputs.X, inputs.LogDecay.exp(), inputs.In, inputs.Out);
        long sharing = x.size(2) / into.size(2);
        List<Tensor> results = [];
        for (int t = 0; t < x.size(1); t++)
        {
            Tensor remains = decay.select(1, t); // (B, H)
            if (t > 0 && inputs.Runs is { } runs) remains = remains.masked_fill(runs.select(1, t).ne(runs.select(1, t - 1)).unsqueeze(-1), 0);
            Tensor written = x.select(1, t).unsqueeze(-1).mul(PerHead(into.select(1, t), sharing).unsqueeze(-2)); // (B, H, P, 1)·(B, H, 1, N) → (B, H, P, N)
            states = states is null ? written : states.mul(remains.unsqueeze(-1).unsqueeze(-1)).add(written);
            results.Add(states.matmul(PerHead(from.select(1, t), sharing).unsqueeze(-1)).squeeze(-1)); // (B, H, P, N)·(B, H, N, 1) → (B, H, P)
        }
        return (stack([.. results], 1), states!);
    }

    /// <summary>Chunk by chunk, as products of matrices (Dao and Gu 2024, §6): O(T·L) time and memory.</summary>
    /// <param name="inputs">T positions.</param>
    /// <param name="states">The states before (B, H, P, N), which the first document goes on from; null for zeros.</param>
    /// <param name="chunk">Positions of a chunk, L.</param>
    /// <returns>(B, T, H, P), and the states after.</returns>
    public static (Tensor Result, Tensor States) Chunked(StateSpaceInput inputs, Tensor? states, int chunk)
    {
        StateSpaceChunks chunks = StateSpaceChunks.Of(inputs, chunk);
        Tensor result = Within(chunks); // (B, K, L, H, P)
        (Tensor? before, Tensor after) = Carry(chunks, states);
        if (before is not null) result = result.add(Across(chunks, before));
        return (result.flatten(1, 2).narrow(1, 0, inputs.X.size(1)), after);
    }

    // What positions of a chunk give to later ones of the same: (out·in ⊙ decay)·x.
    private static Tensor Within(StateSpaceChunks chunks)
    {
        Tensor remains = chunks.Remains; // (B, K, H, L, L)
        Tensor products = chunks.Out.matmul(chunks.In.transpose(3, 4)); // (B, K, G, L, L)
        long[] shape = remains.shape;
        Tensor weights = remains.reshape(shape[0], shape[1], products.size(2), -1, shape[3], shape[4]).mul(products.unsqueeze(3)); // (B, K, G, J, L, L)
        return weights.flatten(2, 3).matmul(chunks.X.transpose(2, 3)).transpose(2, 3); // (B, K, H, L, L)·(B, K, H, L, P) → (B, K, L, H, P)
    }

    // The states at the start of each chunk (B, K, H, P, N), null where all are zero, and after the last.
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

    // What each chunk alone adds to the states by its end.
    private static Tensor Made(StateSpaceChunks chunks)
    {
        Tensor untilEnd = chunks.Remains.select(3, chunks.Remains.size(3) - 1).transpose(2, 3); // (B, K, L, H)
        Tensor weighted = chunks.X.mul(untilEnd.unsqueeze(-1)); // (B, K, L, H, P)
        long[] shape = weighted.shape;
        Tensor columns = weighted.reshape(shape[0], shape[1], shape[2], chunks.In.size(2), -1).permute(0, 1, 3, 4, 2); // (B, K, G, J·P, L)
        return columns.matmul(chunks.In).reshape(shape[0], shape[1], shape[3], shape[4], -1); // (B, K, G, J·P, N) → (B, K, H, P, N)
    }

    // What the states before a chunk give to its positions.
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
