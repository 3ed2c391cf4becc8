namespace Trainer.Data;

/// <summary>What one split of the prepared data holds.</summary>
/// <param name="Documents">Documents that begin or continue in it.</param>
/// <param name="Characters">Unicode code points.</param>
/// <param name="Bytes">Bytes of UTF-8.</param>
/// <param name="Tokens">Tokens.</param>
public sealed record SplitStatistics(long Documents, long Characters, long Bytes, long Tokens)
{
    /// <summary>Bytes of text a token stands for, on average; it turns nats per token into bits per byte.</summary>
    public double BytesPerToken => Tokens == 0 ? 0 : (double)Bytes / Tokens;
}
