// Shapes: B batch, T positions, H heads, P width of a head, N state, G groups, J = H/G heads of a group, K chunks, L positions of a chunk.
using static TorchSharp.torch;

namespace Trainer.Transformers.Mixers;

/// <summary>What goes through a state space.</summary>
/// <param name="X">The heads, times their steps: (B, T, H, P).</param>
/// <param name="LogDecay">The logarithm of what remains of the state, not above 0: (B, T, H).</param>
/// <param name="In">Where a head is written to in its state: (B, T, G, N); consecutive heads share.</param>
/// <param name="Out">Where the result is read from: (B, T, G, N).</param>
internal readonly record struct StateSpaceInput(Tensor X, Tensor LogDecay, Tensor In, Tensor Out);

/// <summary>The recurrence h_t = e^(a_t)·h_(t−1) + x_t ⊗ in_t, y_t = h_t·out_t, in two forms with the same result.</summary>
internal static class StateSpace
{
    /// <summary>Position by position: the definition.</summary>
    /// <param name="inputs">T positions.</param>
    /// <param name="states">The states before (B, H, P, N); null for zeros.</param>
    /// <returns>(B, T, H, P), and the states after.</returns>
    public static (Tensor Result, Tensor States) Recurrent(StateSpaceInput inputs, Tensor? states = null)
    {
        (Tensor x, Tensor decay, Tensor into, Tensor from) = (inputs.X, inputs.LogDecay.exp(), inputs.In, inputs.Out);
        long sharing = x.size(2) / into.size(2);
        List<Tensor> results = [];
        for (int t = 0; t < x.size(1); t++)
        {
            Tensor written = x.select(1, t).unsqueeze(-1).mul(PerHead(into.select(1, t), sharing).unsqueeze(-2)); // (B, H, P, 1)·(B, H, 1, N) → (B, H, P, N)
            states = states is null ? written : states.mul(decay.select(1, t).unsqueeze(-1).unsqueeze(-1)).add(written);
            results.Add(states.matmul(PerHead(from.select(1, t), sharing).unsqueeze(-1)).squeeze(-1)); // (B, H, P, N)·(B, H, N, 1) → (B, H, P)
        }
        return (stack([.. results], 1), states!);
    }

    /// <summary>Chunk by chunk, as products of matrices (Dao and Gu 2024, §6): O(T·L) time and memory.</summary>
    /// <param name="inputs">T positions.</param>
    /// <param name="states">The states before (B, H, P, N); null for zeros.</param>
    /// <param name="chunk">Positions of a chunk, L.</param>
    /// <returns>(B, T, H, P), and the states after.</returns>
    public static (Tensor Result, Tensor States) Chunked(StateSpaceInput inputs, Tensor? states, int chunk)
    {
        long batch = inputs.X.size(0), length = inputs.X.size(1), heads = inputs.X.size(2), width = inputs.X.size(3);
        chunk = (int)Math.Min(chunk, length);
        Chunks chunks = new(
            Cut(inputs.X, chunk), Cut(inputs.LogDecay, chunk).cumsum(2), Cut(inputs.In, chunk).transpose(2, 3), Cut(inputs.Out, chunk).transpose(2, 3));
        Tensor result = Within(chunks); // (B, K, L, H, P)
        (Tensor? before, Tensor after) = Carry(chunks, states);
        if (before is not null) result = result.add(Across(chunks, before));
        return (result.reshape(batch, -1, heads, width).narrow(1, 0, length), after);
    }

    // What positions of a chunk give to later ones of the same: (out·in ⊙ decay)·x.
    private static Tensor Within(Chunks chunks)
    {
        Tensor decay = chunks.Decay.transpose(2, 3); // (B, K, H, L)
        long length = decay.size(3);
        Tensor later = ones([length, length], ScalarType.Bool, decay.device).triu(1);
        // Differences are masked before the exponential: those to later positions are positive and would overflow.
        Tensor remains = decay.unsqueeze(-1).sub(decay.unsqueeze(-2)).masked_fill(later, float.NegativeInfinity).exp(); // (B, K, H, L, L)
        Tensor products = chunks.Out.matmul(chunks.In.transpose(3, 4)); // (B, K, G, L, L)
        Tensor weights = remains.reshape(remains.size(0), remains.size(1), products.size(2), -1, length, length).mul(products.unsqueeze(3)); // (B, K, G, J, L, L)
        return weights.flatten(2, 3).matmul(chunks.X.transpose(2, 3)).transpose(2, 3); // (B, K, H, L, L)·(B, K, H, L, P) → (B, K, L, H, P)
    }

    // The states at the start of each chunk (B, K, H, P, N), null where all are zero, and after the last.
    private static (Tensor? Before, Tensor After) Carry(Chunks chunks, Tensor? states)
    {
        Tensor total = chunks.Decay.narrow(2, chunks.Decay.size(2) - 1, 1); // (B, K, 1, H)
        Tensor[] made = Made(chunks, total.sub(chunks.Decay).exp()).unbind(1); // (B, H, P, N) for each chunk
        if (states is null && made.Length == 1) return (null, made[0]);
        Tensor[] remains = total.exp().transpose(2, 3).unsqueeze(-1).unbind(1); // (B, H, 1, 1) for each chunk
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
    private static Tensor Made(Chunks chunks, Tensor untilEnd)
    {
        Tensor weighted = chunks.X.mul(untilEnd.unsqueeze(-1)); // (B, K, L, H, P)
        long[] shape = weighted.shape;
        Tensor columns = weighted.reshape(shape[0], shape[1], shape[2], chunks.In.size(2), -1).permute(0, 1, 3, 4, 2); // (B, K, G, J·P, L)
        return columns.matmul(chunks.In).reshape(shape[0], shape[1], shape[3], shape[4], -1); // (B, K, G, J·P, N) → (B, K, H, P, N)
    }

    // What the states before a chunk give to its positions.
    private static Tensor Across(Chunks chunks, Tensor before)
    {
        long[] shape = chunks.X.shape;
        Tensor columns = before.reshape(shape[0], shape[1], chunks.Out.size(2), -1, before.size(4)).transpose(3, 4); // (B, K, G, N, J·P)
        Tensor read = chunks.Out.matmul(columns).transpose(2, 3).reshape(shape); // (B, K, G, L, J·P) → (B, K, L, H, P)
        return read.mul(chunks.Decay.exp().unsqueeze(-1));
    }

    // (B, T, …) → (B, K, L, …). Positions that fill up the last chunk neither write (x is 0) nor decay (e⁰ is 1).
    private static Tensor Cut(Tensor x, int chunk)
    {
        long[] shape = x.shape;
        long missing = (chunk - shape[1] % chunk) % chunk;
        if (missing > 0) x = cat([x, zeros([shape[0], missing, .. shape[2..]], dtype: x.dtype, device: x.device)], 1);
        return x.reshape([shape[0], -1, chunk, .. shape[2..]]);
    }

    // (B, G, N) → (B, H, N)
    private static Tensor PerHead(Tensor groups, long sharing) => sharing == 1 ? groups : groups.repeat_interleave(sharing, 1);

    // X (B, K, L, H, P); Decay, summed from the start of its chunk (B, K, L, H); In and Out (B, K, G, L, N).
    private readonly record struct Chunks(Tensor X, Tensor Decay, Tensor In, Tensor Out);
}
