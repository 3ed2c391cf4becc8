namespace Trainer.Text.Parquet;

/// <summary>Matches of the LZ77 family: what comes next came before.</summary>
internal static class Matches
{
    /// <summary>Copies from behind; a match that overlaps itself repeats, so it is copied in parts that do not.</summary>
    /// <param name="output">What is written, with room for the match.</param>
    /// <param name="written">How much of it is there.</param>
    /// <param name="distance">How far behind the match begins: 1 to <paramref name="written"/>.</param>
    /// <param name="length">Its length.</param>
    public static void Copy(Span<byte> output, int written, int distance, int length)
    {
        for (var source = written - distance; length > 0;)
        {
            var part = Math.Min(length, written - source);
            output.Slice(source, part).CopyTo(output[written..]);
            (written, length) = (written + part, length - part);
        }
    }
}
