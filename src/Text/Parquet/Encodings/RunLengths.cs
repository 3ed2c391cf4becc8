namespace Trainer.Text.Parquet;

/// <summary>Reads numbers in Parquet's hybrid of run lengths and bit packing (Encodings.md, RLE = 3), one at a time.</summary>
/// <param name="bytes">The runs.</param>
/// <param name="width">The bits of a number, 0 to 32.</param>
/// <param name="at">Where the page begins in the file, for messages.</param>
internal sealed class RunLengths(ReadOnlyMemory<byte> bytes, int width, long at)
{
    private int position;
    private long repeats;
    private uint repeated;
    private long packed;
    private long bit;

    /// <summary>The next number.</summary>
    /// <exception cref="ParquetError">There is none.</exception>
    public uint Next()
    {
        while (true)
        {
            if (repeats > 0)
            {
                repeats--;
                return repeated;
            }
            if (packed > 0)
            {
                packed--;
                return Unpack();
            }
            if (width == 0 && position == bytes.Length)
                return 0;   // some writers leave out the runs of numbers that can only be 0
            Begin();
        }
    }

    private void Begin()
    {
        var header = Varint();
        if ((header & 1) == 1)
        {
            packed = (long)(header >> 1) * 8;
            bit = 8L * position;
            // The last run may be cut off behind its last number; each is held against the end when it is read.
            position = (int)Math.Min(position + (long)(header >> 1) * width, bytes.Length);
            return;
        }
        repeats = header >> 1;
        var length = (width + 7) / 8;
        if (bytes.Length - position < length)
            throw End();
        repeated = 0;
        for (var i = 0; i < length; i++)
            repeated |= (uint)bytes.Span[position++] << (8 * i);
    }

    private uint Unpack()
    {
        var span = bytes.Span;
        var (from, shift) = ((int)(bit >> 3), (int)(bit & 7));
        bit += width;
        if (bit > 8L * span.Length)
            throw End();
        return PackedBits.Read(span, from, shift, width);
    }

    private uint Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 35; shift += 7)
        {
            if (position == bytes.Length)
                throw End();
            var next = bytes.Span[position++];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value <= uint.MaxValue ? (uint)value : throw new ParquetError($"a run of {value} numbers is too long", at);
        }
        throw new ParquetError("the length of a run takes more than five bytes", at);
    }

    private ParquetError End() => new("the runs of levels or dictionary indices end before the values do", at);
}
