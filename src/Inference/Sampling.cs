using Trainer.Configuration;

namespace Trainer.Inference;

/// <summary>How the next token is drawn: temperature, top-k, then top-p; each narrows what the one before left.</summary>
public sealed record SamplingOptions : IValidated
{
    /// <summary>Divides the logits: below 1 sharper, above 1 flatter; 0 is <see cref="Greedy"/>.</summary>
    public double Temperature { get; init; } = 1.0;

    /// <summary>Only the k most likely tokens may be drawn; <c>null</c> for all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the smallest set of most likely tokens whose probabilities sum to at least p may be drawn
    /// (nucleus sampling, Holtzman et al. 2019, arXiv 1904.09751); <c>null</c> for all.</summary>
    public double? TopP { get; init; }

    /// <summary>Always take the most likely token, whatever the other settings.</summary>
    public bool Greedy { get; init; }

    /// <summary>The same seed gives the same text.</summary>
    public long Seed { get; init; } = 1337;

    internal bool IsGreedy => Greedy || Temperature == 0;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (!double.IsFinite(Temperature) || Temperature < 0)
            yield return new("temperature", $"temperature ({Temperature}) must be 0 or more; 1 leaves the model's distribution as it is");
        if (TopK < 1)
            yield return new("topK", $"topK ({TopK}) must be 1 or more; leave it out to allow every token");
        if (TopP is { } p && (double.IsNaN(p) || p <= 0 || p > 1))
            yield return new("topP", $"topP ({p}) must be above 0 and at most 1; leave it out to allow every token");
    }
}

/// <summary>Draws token ids on the host: the same on every platform for the same options and logits. Not thread-safe.</summary>
internal sealed class TokenSampler
{
    /// <summary>Tolerance in comparisons with p, since logits are float32.</summary>
    private const double Rounding = 1e-7;

    private readonly SamplingOptions options;
    private readonly SplitMix64 random;
    private ulong[] order = [];
    private double[] weights = [];

    public TokenSampler(SamplingOptions options)
    {
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        this.options = options;
        random = new SplitMix64(options.Seed);
    }

    /// <summary>Draws from unnormalised log probabilities (V), −∞ for impossible tokens; throws on NaN, +∞, or nothing finite.</summary>
    public int Sample(ReadOnlySpan<float> logits)
    {
        int best = ArgMax(logits);
        if (options.IsGreedy) return best;

        bool narrowed = options.TopK < logits.Length || options.TopP < 1;
        return narrowed ? DrawNarrowed(logits, logits[best]) : DrawFromAll(logits, logits[best]);
    }

    private int DrawFromAll(ReadOnlySpan<float> logits, float highest)
    {
        Span<double> weight = Buffer(ref weights, logits.Length);
        double total = 0;
        for (int id = 0; id < logits.Length; id++) total += weight[id] = Weight(logits[id], highest);
        return Draw(weight, total);
    }

    private int DrawNarrowed(ReadOnlySpan<float> logits, float highest)
    {
        Span<ulong> ranked = Buffer(ref order, logits.Length);
        for (int id = 0; id < logits.Length; id++) ranked[id] = RankKey(logits[id], id);
        ranked.Sort();

        int kept = Math.Min(options.TopK ?? logits.Length, logits.Length);
        Span<double> weight = Buffer(ref weights, kept);
        double total = 0;
        for (int rank = 0; rank < kept; rank++) total += weight[rank] = Weight(logits[Id(ranked[rank])], highest);

        Span<double> nucleus = weight[..Nucleus(weight, total, options.TopP ?? 1, out total)];
        return Id(ranked[Draw(nucleus, total)]);
    }

    /// <summary>The length of the shortest prefix whose share of the total is at least <paramref name="p"/>.</summary>
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

    /// <summary>Sorts by descending logit, then by ascending id.</summary>
    private static ulong RankKey(float logit, int id)
    {
        // -0 and 0 are equal logits, but not equal bits.
        int bits = BitConverter.SingleToInt32Bits(logit == 0 ? 0 : logit);
        uint ascending = bits < 0 ? ~(uint)bits : (uint)bits | 0x80000000;
        return ((ulong)~ascending << 32) | (uint)id;
    }

    private static int Id(ulong rankKey) => (int)(uint)rankKey;

    private static Span<T> Buffer<T>(ref T[] buffer, int length)
    {
        if (buffer.Length < length) buffer = new T[length];
        return buffer.AsSpan(0, length);
    }
}

/// <summary>SplitMix64 (Steele, Lea and Flood 2014): the same sequence on every platform. Not for secrets.</summary>
public sealed class SplitMix64(long seed)
{
    private const ulong Step = 0x9E3779B97F4A7C15;

    private ulong state = (ulong)seed;

    /// <summary>A seed that follows from numbers in their order; a small change of one gives quite another.</summary>
    public static long Seed(params ReadOnlySpan<long> numbers)
    {
        ulong seed = 0;
        foreach (long number in numbers) seed = Mix(seed + (ulong)number + Step);
        return (long)seed;
    }

    /// <summary>The next number, uniform on [0, 1) in steps of 2⁻⁵³.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    private ulong Next() => Mix(state += Step);

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
