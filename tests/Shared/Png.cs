using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;

namespace Trainer.Tests;

/// <summary>Writes PNG files, so that what is read can be compared with what was meant.</summary>
internal static class Png
{
    public const byte Grey = 0, Colours = 2, Palette = 3, GreyWithOpacity = 4, ColoursWithOpacity = 6;

    /// <summary>A picture of rows of bytes as they are stored; <paramref name="palette"/> is of red, green and blue.</summary>
    public static byte[] Encode(int width, int height, byte colourType, byte depth, byte[] rows, byte[]? palette = null)
    {
        using var file = new MemoryStream();
        file.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A]);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (depth, colourType);
        Chunk(file, "IHDR", header);
        if (palette is not null)
            Chunk(file, "PLTE", palette);
        using var pixels = new MemoryStream();
        using (var zlib = new ZLibStream(pixels, CompressionLevel.Optimal, leaveOpen: true))
            foreach (var row in rows.Chunk(rows.Length / height))
            {
                zlib.WriteByte(0);   // no filter
                zlib.Write(row);
            }
        Chunk(file, "IDAT", pixels.ToArray());
        Chunk(file, "IEND", []);
        return file.ToArray();
    }

    private static void Chunk(Stream file, string type, byte[] content)
    {
        byte[] whole = [.. Encoding.Latin1.GetBytes(type), .. content];
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
        file.Write(number);
        file.Write(whole);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.HashToUInt32(whole));
        file.Write(number);
    }
}
