using System.Text.Json.Serialization;

namespace Trainer.Models.Positions.Scaling;

/// <summary>Along what the share of a frequency that is kept falls from 1 to 0.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FrequencyRamp>))]
public enum FrequencyRamp
{
    /// <summary>The turns a pair makes in the original length, as the papers define it (Peng et al. 2023, eq. 18).</summary>
    [JsonStringEnumMemberName("turns")]
    Turns,

    /// <summary>The index of the pair, as the published code of YaRN, Hugging Face and DeepSeek compute it.</summary>
    [JsonStringEnumMemberName("pairs")]
    Pairs,
}

/// <summary>The share γ of each frequency that is kept.</summary>
internal static class FrequencyRamps
{
    /// <summary>γ linear in the turns r_i = L·θ_i/2π: 0 below <paramref name="slow"/>, 1 above <paramref name="fast"/>.</summary>
    public static double[] AlongTurns(FrequencyBasis basis, double length, double fast, double slow) =>
        [.. basis.Frequencies().Select(theta => Math.Clamp((length * theta / (2 * Math.PI) - slow) / (fast - slow), 0, 1))];

    /// <summary>γ linear in the index of the pair, between the pairs that make fast and slow turns.</summary>
    /// <param name="basis">The unscaled frequencies.</param>
    /// <param name="length">The original length, L.</param>
    /// <param name="fast">Turns from which a frequency is kept.</param>
    /// <param name="slow">Turns up to which it is interpolated.</param>
    /// <param name="truncate">Whether both ends are rounded outwards to whole pairs.</param>
    public static double[] AlongPairs(FrequencyBasis basis, double length, double fast, double slow, bool truncate)
    {
        double first = basis.PairOfTurns(fast, length), last = basis.PairOfTurns(slow, length);
        if (truncate) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, basis.Dims - 1));
        if (first == last) last += 0.001; // a step, as in the published code, not a division by zero
        return [.. Enumerable.Range(0, basis.Dims / 2).Select(i => 1 - Math.Clamp((i - first) / (last - first), 0, 1))];
    }
}
