using System.Numerics;

namespace Trainer.Data;

/// <summary>A keyed shuffle of 0 … size−1, computed rather than stored: any element in constant time and memory. A balanced Feistel network
/// over the next even number of bits, iterated until the result falls in range (cycle walking, Black and Rogaway 2002).</summary>
internal readonly struct KeyedPermutation
{
    private const int Rounds = 6;
    private readonly ulong size;
    private readonly ulong key;
    private readonly int halfBits;

    public KeyedPermutation(long size, ulong key)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        this.size = (ulong)size;
        this.key = key;
        halfBits = Math.Max(1, (65 - BitOperations.LeadingZeroCount((ulong)size - 1)) / 2);
    }

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

    /// <summary>SplitMix64's finalizer (Steele 2014): every input bit flips about half of the output bits.</summary>
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

internal struct RandomSequence(ulong key)
{
    private ulong state = key;

    public ulong Next() => KeyedPermutation.Mix(state += 0x9E3779B97F4A7C15);

    public int Next(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));
}
