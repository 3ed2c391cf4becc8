using System.IO.Compression;

namespace Trainer.Text.Parquet;

/// <summary>Decompresses pages, in memory that grows with what really comes out and never past the size that the page declares.</summary>
internal sealed class PageDecompressor
{
    /// <summary>What a page may declare: writers make pages of about a megabyte, larger ones only for single texts that are.</summary>
    public const int LargestPage = 1 << 30;

    private const int FirstCapacity = 1 << 20;

    /// <summary>Decompresses a page, or the values of one: one line here for each codec.</summary>
    /// <param name="codec">How it is compressed.</param>
    /// <param name="input">What is stored.</param>
    /// <param name="size">How long it is when decompressed, as its header says.</param>
    /// <param name="output">Where it goes, from the beginning.</param>
    /// <exception cref="InvalidDataException">The page is damaged, or not of that size.</exception>
    public void Decompress(Codec codec, ArraySegment<byte> input, int size, PageBuffer output)
    {
        if (size == 0)
            return;   // values that are all null; what compressors make of nothing differs
        switch (codec)
        {
            case Codec.Uncompressed:
                Check(input.Count, size);
                input.AsSpan().CopyTo(Reserve(output, size));
                break;
            case Codec.Snappy:
                CheckRatio(input.Count, size, 64);
                Snappy.Decode(input, Reserve(output, size));
                break;
            case Codec.Lz4:
                CheckRatio(input.Count, size, 256);
                Lz4.DecodeLegacy(input, Reserve(output, size));
                break;
            case Codec.Lz4Raw:
                CheckRatio(input.Count, size, 256);
                Lz4.DecodeBlock(input, Reserve(output, size));
                break;
            case Codec.Gzip:
                Inflate(Text.Gzip.Open(Stream(input)), input.Count, size, output);
                break;
            case Codec.Brotli:
                Inflate(new BrotliStream(Stream(input), CompressionMode.Decompress), input.Count, size, output);
                break;
            case Codec.Zstd:
                Inflate(Zstd.Open(Stream(input)), input.Count, size, output);
                break;
            default:
                throw new InvalidDataException($"codec {codec} is not read");
        }
    }

    private static MemoryStream Stream(ArraySegment<byte> input) => new(input.Array!, input.Offset, input.Count, writable: false);

    private static void Inflate(Stream content, int stored, int size, PageBuffer output)
    {
        using (content)
        {
            var written = 0;
            while (written < size)
            {
                var read = content.Read(Room(output, written, stored, size));
                if (read == 0)
                    break;
                written += read;
            }
            Check(written, size);
            if (content.ReadByte() >= 0)
                throw new InvalidDataException($"it holds more than the {size} bytes that it declares");
        }
    }

    /// <summary>What can be written next; the buffer grows by what came out so far, so that a false size costs no memory.</summary>
    private static Span<byte> Room(PageBuffer output, int written, int stored, int size)
    {
        if (written == output.Array.Length && written < size)
            output.Reserve((int)Math.Min(size, Math.Max(Math.Max(FirstCapacity, 4L * written), Math.Min(8L * stored, 64 << 20))), kept: written);
        return output.Array.AsSpan(written, Math.Min(output.Array.Length, size) - written);
    }

    private static Span<byte> Reserve(PageBuffer output, int size)
    {
        output.Reserve(size);
        return output.Array.AsSpan(0, size);
    }

    /// <summary>Refuses what no compression of this kind can reach, before memory is set aside for it.</summary>
    private static void CheckRatio(int stored, int size, int ratio)
    {
        if (size > (long)stored * ratio)
            throw new InvalidDataException($"it declares {size} bytes, more than {stored} compressed ones can hold");
    }

    private static void Check(int length, int size)
    {
        if (length != size)
            throw new InvalidDataException($"it holds {length} bytes, and declares {size}");
    }
}
