namespace Trainer.Text.Parquet;

/// <summary>Snappy blocks (google/snappy, format_description.txt), decoded straight into the page's memory.</summary>
/// <remarks>IronSnappy, which the tests compress with, only decodes into arrays of its own: with pages of 30 MB that took five
/// times the memory and a third more time.</remarks>
internal static class Snappy
{
    /// <summary>Decompresses a block, which must fill the output.</summary>
    /// <exception cref="InvalidDataException">The block is damaged.</exception>
    public static void Decode(ReadOnlySpan<byte> input, Span<byte> output)
    {
        var position = 0;
        if (Length(input, ref position) is var length && length != (ulong)output.Length)
            throw new InvalidDataException($"Snappy: a block of {length} bytes instead of {output.Length}");
        var written = 0;
        while (position < input.Length)
        {
            var tag = input[position++];
            written += (tag & 3) == 0
                ? Literal(input, ref position, tag >> 2, output[written..])
                : Repeat(input, ref position, tag, output, written);
        }
        if (written != output.Length)
            throw new InvalidDataException($"Snappy: a block ends after {written} of its {output.Length} bytes");
    }

    private static ulong Length(ReadOnlySpan<byte> input, ref int position)
    {
        var length = 0UL;
        for (var shift = 0; shift < 35 && position < input.Length; shift += 7)
        {
            var next = input[position++];
            length |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return length;
        }
        throw new InvalidDataException("Snappy: a block has no length");
    }

    /// <summary>Lengths above 60 stand in one to four bytes of their own.</summary>
    private static int Literal(ReadOnlySpan<byte> input, ref int position, int code, Span<byte> output)
    {
        var length = code < 60 ? code + 1L : Number(input, ref position, code - 59) + 1L;
        if (length > input.Length - position || length > output.Length)
            throw new InvalidDataException($"Snappy: a literal of {length} bytes does not fit");
        input.Slice(position, (int)length).CopyTo(output);
        position += (int)length;
        return (int)length;
    }

    private static int Repeat(ReadOnlySpan<byte> input, ref int position, byte tag, Span<byte> output, int written)
    {
        var isShort = (tag & 3) == 1;
        var length = isShort ? 4 + (tag >> 2 & 7) : (tag >> 2) + 1;
        var distance = isShort ? (uint)(tag >> 5 << 8) + Number(input, ref position, 1) : Number(input, ref position, (tag & 3) == 2 ? 2 : 4);
        if (distance == 0 || distance > written || length > output.Length - written)
            throw new InvalidDataException($"Snappy: a copy of {length} bytes from {distance} back does not fit");
        Matches.Copy(output, written, (int)distance, length);
        return length;
    }

    private static uint Number(ReadOnlySpan<byte> input, ref int position, int bytes)
    {
        if (bytes > input.Length - position)
            throw new InvalidDataException("Snappy: a block ends too soon");
        var number = 0u;
        for (var i = 0; i < bytes; i++)
            number |= (uint)input[position++] << (8 * i);
        return number;
    }
}
