using IronSnappy;

namespace Trainer.Text.Parquet;

/// <summary>Snappy blocks (format_description.txt), which begin with their length when decompressed.</summary>
internal static class SnappyPage
{
    /// <summary>Decompresses a block, which must fill the output.</summary>
    /// <exception cref="InvalidDataException">The block is damaged.</exception>
    public static void Decode(ReadOnlySpan<byte> input, Span<byte> output)
    {
        // The library allocates what the block declares, so that is looked at first.
        if (Length(input) is var length && length != output.Length)
            throw new InvalidDataException($"Snappy: a block of {length} bytes instead of {output.Length}");
        try
        {
            Snappy.Decode(input).AsSpan(0, output.Length).CopyTo(output);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new InvalidDataException("Snappy: the block is corrupt", e);
        }
    }

    private static long Length(ReadOnlySpan<byte> input)
    {
        var length = 0L;
        for (var index = 0; index < Math.Min(5, input.Length); index++)
        {
            length |= (long)(input[index] & 0x7F) << (7 * index);
            if (input[index] < 0x80)
                return length;
        }
        throw new InvalidDataException("Snappy: the block has no length");
    }
}
