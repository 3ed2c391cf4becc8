namespace Trainer.Text.Parquet;

/// <summary>Reads 32-bit numbers encoded as DELTA_BINARY_PACKED (Encodings.md), one at a time and so in no memory of their own.</summary>
/// <remarks>Blocks hold the differences between neighbours, less their smallest, in miniblocks of one bit width each.</remarks>
internal sealed class DeltaNumbers
{
    private readonly ReadOnlyMemory<byte> bytes;
    private readonly long at;
    private readonly int miniblocks;
    private readonly int perMiniblock;
    private int position;
    private int left;
    private int value;
    private int smallest;
    private int widths;
    private int miniblock;
    private int inMiniblock;
    private bool isFirst = true;

    /// <summary>Reads the header.</summary>
    /// <param name="bytes">The numbers, and whatever follows them.</param>
    /// <param name="most">The most numbers there may be.</param>
    /// <param name="at">Where the page begins in the file.</param>
    public DeltaNumbers(ReadOnlyMemory<byte> bytes, int most, long at)
    {
        (this.bytes, this.at) = (bytes, at);
        var (block, minis, count) = (Varint(), Varint(), Varint());
        value = ZigZag(Varint());
        if (minis == 0 || block == 0 || block % minis != 0 || block / minis % 8 != 0 || block > 1 << 20)
            throw new ParquetError($"delta encoding has blocks of {block} numbers in {minis} parts, which cannot be", at);
        if (count > (ulong)most)
            throw new ParquetError($"delta encoding has {count} numbers in a page of {most} values", at);
        (miniblocks, perMiniblock, left) = ((int)minis, (int)(block / minis), (int)count);
        miniblock = miniblocks;
        Count = left;
    }

    /// <summary>How many numbers there are.</summary>
    public int Count { get; }

    /// <summary>The next number; differences wrap around, as the format says.</summary>
    public int Next()
    {
        if (left == 0)
            throw new ParquetError("delta encoding has fewer numbers than its page has values", at);
        left--;
        if (isFirst)
        {
            isFirst = false;
            return value;
        }
        if (miniblock == miniblocks)
            BeginBlock();
        var width = bytes.Span[widths + miniblock];
        value = unchecked(value + smallest + (int)Unpack(width));
        if (++inMiniblock == perMiniblock)
            EndMiniblock(width);
        return value;
    }

    /// <summary>Passes over all numbers, which must not have been begun.</summary>
    /// <returns>The bytes they take.</returns>
    public int SkipAll()
    {
        for (var numbers = Math.Max(left - 1, 0); numbers > 0;)
        {
            BeginBlock();
            for (miniblock = 0; miniblock < miniblocks && numbers > 0;)
            {
                numbers -= perMiniblock;
                EndMiniblock(bytes.Span[widths + miniblock]);
            }
        }
        return position;
    }

    private void BeginBlock()
    {
        smallest = ZigZag(Varint());
        if (bytes.Length - position < miniblocks)
            throw End();
        widths = position;
        position += miniblocks;
        (miniblock, inMiniblock) = (0, 0);
    }

    private void EndMiniblock(int width)
    {
        var length = (long)perMiniblock / 8 * width;
        if (length > bytes.Length - position)
            throw End();
        position += (int)length;
        (miniblock, inMiniblock) = (miniblock + 1, 0);
    }

    private uint Unpack(int width)
    {
        if (width > 32)
            throw new ParquetError($"delta encoding has differences of {width} bits", at);
        var bit = (long)inMiniblock * width;
        var (from, shift) = (position + (int)(bit >> 3), (int)(bit & 7));
        var span = bytes.Span;
        if (from + (shift + width + 7) / 8 > span.Length)
            throw End();
        return PackedBits.Read(span, from, shift, width);
    }

    private ulong Varint()
    {
        var number = 0UL;
        for (var shift = 0; shift < 70; shift += 7)
        {
            if (position == bytes.Length)
                throw End();
            var next = bytes.Span[position++];
            number |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return number;
        }
        throw new ParquetError("delta encoding has a number of more than ten bytes", at);
    }

    private static int ZigZag(ulong number) => (int)((long)(number >> 1) ^ -(long)(number & 1));

    private ParquetError End() => new("delta encoding ends before its last number", at);
}
