namespace Trainer.Models;

/// <summary>What one layer caches of each sequence it decodes; <c>MostTokens</c> is null if it caches all.</summary>
internal readonly record struct LayerMemory(long NumbersPerToken, int? MostTokens = null, long ConstantBytes = 0)
{
    public long Bytes(int positions, int bytesPerNumber) =>
        ConstantBytes + NumbersPerToken * bytesPerNumber * Math.Min(positions, MostTokens ?? positions);
}
