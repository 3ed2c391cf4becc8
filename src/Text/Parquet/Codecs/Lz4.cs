using System.Buffers.Binary;

namespace Trainer.Text.Parquet;

/// <summary>LZ4 as Parquet files have it: blocks (LZ4_RAW), and under the name LZ4 also Hadoop's framing and LZ4 frames.</summary>
/// <remarks>The codec LZ4 was never specified: parquet-mr and Spark wrote Hadoop's framing, early parquet-cpp plain blocks,
/// early Rust frames. They are told apart by what fits.</remarks>
internal static class Lz4
{
    private const uint FrameMagic = 0x184D2204;

    /// <summary>Decompresses a page of the codec LZ4.</summary>
    /// <exception cref="InvalidDataException">The page is damaged.</exception>
    public static void DecodeLegacy(ReadOnlySpan<byte> input, Span<byte> output)
    {
        if (TryHadoop(input, output))
            return;
        if (input.Length >= 7 && BinaryPrimitives.ReadUInt32LittleEndian(input) == FrameMagic)
            DecodeFrame(input, output);
        else
            DecodeBlock(input, output);
    }

    /// <summary>Decompresses one block, which must fill the output.</summary>
    /// <exception cref="InvalidDataException">The block is damaged.</exception>
    public static void DecodeBlock(ReadOnlySpan<byte> input, Span<byte> output)
    {
        var length = Decode(input, output, 0);
        if (length != output.Length)
            throw new InvalidDataException($"LZ4: a block holds {length} bytes instead of {output.Length}");
    }

    /// <summary>Sequences of: size when decompressed, then blocks, each after its own size, until that is reached; sizes in big-endian order.</summary>
    private static bool TryHadoop(ReadOnlySpan<byte> input, Span<byte> output)
    {
        var (written, promised) = (0, 0L);
        while (input.Length >= 4)
        {
            var size = BinaryPrimitives.ReadUInt32BigEndian(input);
            input = input[4..];
            if (written == promised)
            {
                promised += size;
                if (promised > output.Length)
                    return false;
                continue;
            }
            if (size > input.Length || !TryDecode(input[..(int)size], output[..(int)promised], ref written))
                return false;
            input = input[(int)size..];
        }
        return input.IsEmpty && written == output.Length;
    }

    private static bool TryDecode(ReadOnlySpan<byte> block, Span<byte> output, ref int written)
    {
        try
        {
            var length = Decode(block, output[written..], 0);
            written += length;
            return true;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    /// <summary>A frame (lz4_Frame_format.md); its checksums are not checked, since pages have one of their own.</summary>
    private static void DecodeFrame(ReadOnlySpan<byte> input, Span<byte> output)
    {
        var flags = input[4];
        var written = 0;
        for (var rest = After(input, 7 + ((flags & 0x08) != 0 ? 8 : 0) + ((flags & 0x01) != 0 ? 4 : 0)); ;)
        {
            var size = BinaryPrimitives.ReadUInt32LittleEndian(After(rest, 0, 4));
            rest = rest[4..];
            if (size == 0)
                break;
            var length = (int)(size & 0x7FFFFFFF);
            var block = After(rest, 0, length)[..length];
            if (size >> 31 == 1)
            {
                if (length > output.Length - written)
                    throw new InvalidDataException("LZ4: a frame holds more than its page");
                block.CopyTo(output[written..]);
                written += length;
            }
            else
            {
                written = Decode(block, output, written);
            }
            rest = After(rest, length + ((flags & 0x10) != 0 ? 4 : 0));
        }
        if (written != output.Length)
            throw new InvalidDataException($"LZ4: a frame holds {written} bytes instead of {output.Length}");
    }

    private static ReadOnlySpan<byte> After(ReadOnlySpan<byte> bytes, int start, int needed = 0) =>
        start >= 0 && needed >= 0 && start <= bytes.Length - needed ? bytes[start..] : throw new InvalidDataException("LZ4: a frame ends too soon");

    /// <summary>Decodes sequences of literals and matches (lz4_Block_format.md); matches may reach back into what was there before.</summary>
    private static int Decode(ReadOnlySpan<byte> input, Span<byte> output, int written)
    {
        for (var position = 0; position < input.Length;)
        {
            var token = input[position++];
            var literals = Length(input, ref position, token >> 4);
            if (literals > input.Length - position || literals > output.Length - written)
                throw new InvalidDataException($"LZ4: {literals} literals do not fit");
            input.Slice(position, literals).CopyTo(output[written..]);
            (position, written) = (position + literals, written + literals);
            if (position == input.Length)
                break;
            if (input.Length - position < 2)
                throw new InvalidDataException("LZ4: the block ends inside a match");
            var distance = BinaryPrimitives.ReadUInt16LittleEndian(input[position..]);
            position += 2;
            var length = Length(input, ref position, token & 15) + 4;
            if (distance == 0 || distance > written || length < 0 || length > output.Length - written)
                throw new InvalidDataException($"LZ4: a match of {length} bytes at distance {distance} does not fit");
            Matches.Copy(output, written, distance, length);
            written += length;
        }
        return written;
    }

    private static int Length(ReadOnlySpan<byte> input, ref int position, int nibble)
    {
        if (nibble < 15)
            return nibble;
        var length = 15L;
        while (position < input.Length)
        {
            var next = input[position++];
            length += next;
            if (next < 255)
                return length <= Array.MaxLength ? (int)length : throw new InvalidDataException($"LZ4: a length of {length} cannot be");
        }
        throw new InvalidDataException("LZ4: the block ends inside a length");
    }
}
