using System.Numerics;

namespace Trainer.Data;

/// <summary>A shuffle of 0 … size−1 that is computed, not stored: any element in constant time and memory.</summary>
/// <remarks>A balanced Feistel network over the next even number of bits, walked until it falls inside the range
/// (cycle walking, Black and Rogaway 2002): a bijection whatever the round function is.</remarks>
internal readonly struct KeyedPermutation
{
    private const int Rounds = 6;
    private readonly ulong size;
    private readonly ulong key;
    private readonly int halfBits;

    /// <summary>Chooses a shuffle.</summary>
    /// <param name="size">The number of elements, at least 1.</param>
    /// <param name="key">Which of the shuffles.</param>
    public KeyedPermutation(long size, ulong key)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        this.size = (ulong)size;
        this.key = key;
        halfBits = Math.Max(1, (65 - BitOperations.LeadingZeroCount((ulong)size - 1)) / 2);
    }

    /// <summary>The element at a place.</summary>
    /// <param name="index">The place, from 0 to size−1.</param>
    public long this[long index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)index, size, nameof(index));
            var value = (ulong)index;
            do
                value = Encrypt(value);
            while (value >= size);
            return (long)value;
        }
    }

    /// <summary>Mixes a number so that each bit of it changes half of the result (SplitMix64's finaliser, Steele 2014).</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }

    private ulong Encrypt(ulong value)
    {
        var mask = (1UL << halfBits) - 1;
        var (left, right) = (value >> halfBits, value & mask);
        for (var round = 1UL; round <= Rounds; round++)
            (left, right) = (right, left ^ (Mix(right ^ Mix(key + round * 0x9E3779B97F4A7C15)) & mask));
        return (left << halfBits) | right;
    }
}
