namespace Trainer.Data;

/// <summary>Random numbers of a key: SplitMix64 (Steele, Lea and Flood 2014), the same on every machine.</summary>
internal struct RandomSequence(ulong key)
{
    private ulong state = key;

    /// <summary>64 random bits.</summary>
    public ulong Next() => KeyedPermutation.Mix(state += 0x9E3779B97F4A7C15);

    /// <summary>A number from 0 to <paramref name="count"/>−1.</summary>
    public int Next(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    /// <summary>A number from 0 to below 1.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));
}
