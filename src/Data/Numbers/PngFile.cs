using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using StbImageSharp;
using Trainer.Configuration;

namespace Trainer.Data.Numbers;

/// <summary>Reads PNG files (ISO/IEC 15948). StbImageSharp decodes, but takes no notice of checksums: chunks are checked here first, so
/// that a damaged file is an error and never a picture.</summary>
internal static class PngFile
{
    private const int MaxSide = 16_384;

    private const int ChunkFrame = 12;   // length, type, CRC

    private static readonly byte[] Signature = [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Reads a file of 1, 2, 4, 8 or 16 bits, grey, in colours or with a palette; transparent parts are black.</summary>
    /// <exception cref="UserException">It cannot be read, is no PNG, or is damaged; the message names the file and the damage.</exception>
    public static Picture Read(string path)
    {
        try
        {
            return Decode(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new UserException($"{path}: {e.Message}", e);
        }
    }

    /// <exception cref="InvalidDataException">It is no PNG, or damaged.</exception>
    public static Picture Decode(byte[] file)
    {
        var (width, height) = Check(file);
        try
        {
            var image = ImageResult.FromMemory(file, ColorComponents.RedGreenBlueAlpha);
            if ((image.Width, image.Height) == (width, height))
                return Picture.Of(image.Data, height, width);
        }
        catch (Exception e) when (e is not OutOfMemoryException)   // the decoder has no exceptions of its own
        {
            throw Damaged($"its pixels cannot be decoded ({e.Message.TrimEnd('.')})");
        }
        throw Damaged("its pixels are not of the size that it gives");
    }

    private static (int Width, int Height) Check(byte[] file)
    {
        if (!file.AsSpan().StartsWith(Signature))
            throw new InvalidDataException($"it is not a PNG file{Instead(file)}; convert it, or take it out of the folder");
        (int, int)? size = null;
        var (at, pixels) = (Signature.Length, false);
        while (true)
        {
            if (file.Length - at < ChunkFrame)
                throw Damaged($"it is cut short: byte {file.Length} is the last, and no IEND has come");
            var length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            var type = Encoding.Latin1.GetString(file, at + 4, 4);
            if (length > (uint)(file.Length - at - ChunkFrame))
                throw Damaged($"it is cut short: the chunk {type} at byte {at} has {length} bytes, and the file ends before");
            var checkedBytes = file.AsSpan(at + 4, 4 + (int)length);
            var (told, found) = (BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at + 8 + (int)length)), Crc32.HashToUInt32(checkedBytes));
            if (told != found)
                throw Damaged($"the chunk {type} at byte {at} has the checksum {found:X8}, and its own says {told:X8}");
            if (size is null)
                size = type == "IHDR" && length == 13
                    ? Size(file.AsSpan(at + 8))
                    : throw Damaged($"it begins with the chunk {type} of {length} bytes, not with IHDR of 13");
            pixels |= type == "IDAT";
            at += ChunkFrame + (int)length;
            if (type == "IEND")
                return pixels ? size.Value : throw Damaged("it has no pixels (no chunk IDAT)");
        }
    }

    private static (int, int) Size(ReadOnlySpan<byte> header)
    {
        var (width, height) = (BinaryPrimitives.ReadUInt32BigEndian(header), BinaryPrimitives.ReadUInt32BigEndian(header[4..]));
        return width is >= 1 and <= MaxSide && height is >= 1 and <= MaxSide
            ? ((int)width, (int)height)
            : throw new InvalidDataException($"it is {width} × {height} pixels, and {MaxSide} to a side are the most that are read");
    }

    private static string Instead(ReadOnlySpan<byte> file) => file switch
    {
        [] => " but empty",
        [0xFF, 0xD8, ..] => " but a JPEG",
        [(byte)'G', (byte)'I', (byte)'F', ..] => " but a GIF",
        [(byte)'B', (byte)'M', ..] => " but a BMP",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', ..] => " but a WebP or another RIFF file",
        _ => "",
    };

    private static InvalidDataException Damaged(string why) => new($"the PNG file is damaged: {why}; restore it, or take it out");
}
