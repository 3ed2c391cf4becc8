namespace Trainer.Inference;

/// <summary>A small random number generator whose sequence never depends on the runtime or the platform.</summary>
/// <remarks>Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). Not for secrets.</remarks>
/// <param name="seed">Any value; nearby seeds give unrelated sequences.</param>
public sealed class SplitMix64(long seed)
{
    private ulong state = (ulong)seed;

    /// <summary>The next number, uniform on [0, 1) in steps of 2⁻⁵³.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    private ulong Next()
    {
        ulong z = state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
