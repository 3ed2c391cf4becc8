using Trainer.Configuration;

namespace Trainer.Inference;

/// <summary>Draws token ids from logits, on the host, with its own random numbers.</summary>
/// <remarks>Deterministic: the same options and the same sequence of logits give the same ids on every platform.
/// Equal logits are ordered by id, so that ties are no source of chance. Not thread-safe.</remarks>
public sealed class TokenSampler
{
    /// <summary>Logits are float32: sums of their probabilities agree with p only to about this much.</summary>
    private const double Rounding = 1e-7;

    private readonly SamplingOptions options;
    private readonly SplitMix64 random;
    private ulong[] order = [];
    private double[] weights = [];

    /// <summary>Creates a sampler.</summary>
    /// <param name="options">How to draw.</param>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    public TokenSampler(SamplingOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        this.options = options;
        random = new SplitMix64(options.Seed);
    }

    /// <summary>Draws the next token.</summary>
    /// <param name="logits">Unnormalised log probabilities of every token, length V; −∞ rules a token out.</param>
    /// <returns>The id drawn, 0 … V−1.</returns>
    /// <exception cref="UserException">The logits hold NaN or +∞, or nothing but −∞.</exception>
    public int Sample(ReadOnlySpan<float> logits)
    {
        int best = ArgMax(logits);
        if (options.IsGreedy) return best;

        bool narrowed = options.TopK < logits.Length || options.TopP < 1;
        return narrowed ? DrawNarrowed(logits, logits[best]) : DrawFromAll(logits, logits[best]);
    }

    private int DrawFromAll(ReadOnlySpan<float> logits, float highest)
    {
        Span<double> weight = Room(ref weights, logits.Length);
        double total = 0;
        for (int id = 0; id < logits.Length; id++) total += weight[id] = Weight(logits[id], highest);
        return Draw(weight, total);
    }

    private int DrawNarrowed(ReadOnlySpan<float> logits, float highest)
    {
        Span<ulong> ranked = Room(ref order, logits.Length);
        for (int id = 0; id < logits.Length; id++) ranked[id] = RankKey(logits[id], id);
        ranked.Sort();

        int kept = Math.Min(options.TopK ?? logits.Length, logits.Length);
        Span<double> weight = Room(ref weights, kept);
        double total = 0;
        for (int rank = 0; rank < kept; rank++) total += weight[rank] = Weight(logits[Id(ranked[rank])], highest);

        Span<double> nucleus = weight[..Nucleus(weight, total, options.TopP ?? 1, out total)];
        return Id(ranked[Draw(nucleus, total)]);
    }

    /// <summary>The length of the shortest prefix that holds the share <paramref name="p"/> of the total.</summary>
    private static int Nucleus(ReadOnlySpan<double> weight, double total, double p, out double sum)
    {
        double enough = total * (p - Rounding);
        sum = 0;
        for (int rank = 0; rank < weight.Length; rank++)
        {
            sum += weight[rank];
            if (p < 1 && sum >= enough) return rank + 1;
        }
        return weight.Length;
    }

    private int Draw(ReadOnlySpan<double> weight, double total)
    {
        double left = random.NextDouble() * total;
        int last = 0;
        for (int i = 0; i < weight.Length; i++)
        {
            if (weight[i] == 0) continue;
            last = i;
            left -= weight[i];
            if (left < 0) break;
        }
        return last;
    }

    private double Weight(float logit, float highest) => Math.Exp(((double)logit - highest) / options.Temperature);

    private static int ArgMax(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int id = 0; id < logits.Length; id++)
        {
            if (float.IsNaN(logits[id]) || float.IsPositiveInfinity(logits[id])) throw NotFinite(logits[id], id);
            if (logits[id] > logits[best]) best = id;
        }
        return float.IsNegativeInfinity(logits[best]) ? throw NotFinite(logits[best], best) : best;
    }

    private static UserException NotFinite(float logit, int id) => new(
        $"the model gives no distribution to draw from: the logit of token {id} is {logit}; " +
        "its training diverged or its weights are damaged: use an earlier checkpoint");

    /// <summary>A number that sorts ascending by falling logit, then by rising id.</summary>
    private static ulong RankKey(float logit, int id)
    {
        // -0 and 0 are equal logits, but not equal bits.
        int bits = BitConverter.SingleToInt32Bits(logit == 0 ? 0 : logit);
        uint ascending = bits < 0 ? ~(uint)bits : (uint)bits | 0x80000000;
        return ((ulong)~ascending << 32) | (uint)id;
    }

    private static int Id(ulong rankKey) => (int)(uint)rankKey;

    private static Span<T> Room<T>(ref T[] buffer, int length)
    {
        if (buffer.Length < length) buffer = new T[length];
        return buffer.AsSpan(0, length);
    }
}
