namespace Trainer.Models;

/// <summary>What one layer remembers while decoding one sequence.</summary>
/// <param name="NumbersPerToken">Numbers of each token remembered.</param>
/// <param name="MostTokens">Tokens it ever remembers; null where it remembers all.</param>
/// <param name="ConstantBytes">What it takes whatever the length: the state of a recurrence.</param>
internal readonly record struct LayerMemory(long NumbersPerToken, int? MostTokens = null, long ConstantBytes = 0)
{
    /// <summary>Bytes for a text of so many positions.</summary>
    /// <param name="positions">Room for so many tokens.</param>
    /// <param name="bytesPerNumber">4 in float32, 2 in bfloat16.</param>
    public long Bytes(int positions, int bytesPerNumber) =>
        ConstantBytes + NumbersPerToken * bytesPerNumber * Math.Min(positions, MostTokens ?? positions);
}
