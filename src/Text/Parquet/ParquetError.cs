namespace Trainer.Text.Parquet;

/// <summary>What is wrong with a Parquet file, and where; <see cref="ParquetTextReader"/> adds file and column for the user.</summary>
/// <param name="message">What is wrong.</param>
/// <param name="offset">The byte of the file at which, or behind which, it is wrong; negative where that says nothing.</param>
/// <param name="isDamage">Whether the file is damaged, rather than of a kind that is not read.</param>
/// <param name="inner">What caused it, if anything did.</param>
internal sealed class ParquetError(string message, long offset, bool isDamage = true, Exception? inner = null) : Exception(message, inner)
{
    public long Offset => offset;

    public bool IsDamage => isDamage;

    /// <summary>A whole file that asks for something which this reader does not do.</summary>
    public static ParquetError NotRead(string message) => new(message, -1, isDamage: false);
}
