using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Trainer.Text.Parquet;

/// <summary>An opened Parquet file, read at any place.</summary>
internal sealed class ParquetFile : IDisposable
{
    private const int TrailerBytes = 8;
    private static ReadOnlySpan<byte> Magic => "PAR1"u8;

    private readonly SafeFileHandle handle;

    /// <summary>Opens a file.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public ParquetFile(string path)
    {
        handle = File.OpenHandle(path);
        Length = RandomAccess.GetLength(handle);
    }

    /// <summary>The size of the file.</summary>
    public long Length { get; }

    /// <summary>Reads what the footer says of a column.</summary>
    /// <exception cref="ParquetError">The file is not Parquet, is damaged, or has no such column.</exception>
    public FileFooter ReadFooter(string column)
    {
        if (Length < Magic.Length + TrailerBytes)
            throw new ParquetError($"the file has {Length} bytes; the smallest Parquet file has {Magic.Length + TrailerBytes}", 0);
        Span<byte> ends = stackalloc byte[Magic.Length + TrailerBytes];
        Read(0, ends[..4]);
        Read(Length - TrailerBytes, ends[4..]);
        if (ends[8..].SequenceEqual("PARE"u8))
            throw ParquetError.NotRead("it is encrypted; decrypt it first");
        if (!ends[8..].SequenceEqual(Magic) || !ends[..4].SequenceEqual(Magic))
            throw new ParquetError("the file does not begin and end with PAR1, as Parquet does; it is cut off, or is something else", ends[..4].SequenceEqual(Magic) ? Length - 4 : 0);
        var size = BinaryPrimitives.ReadUInt32LittleEndian(ends[4..]);
        if (size > Length - Magic.Length - TrailerBytes)
            throw new ParquetError($"the footer is said to have {size} of the file's {Length} bytes", Length - TrailerBytes);
        var footer = new byte[size];
        var origin = Length - TrailerBytes - size;
        Read(origin, footer);
        return FileFooter.Read(footer, origin, column);
    }

    /// <summary>Fills a buffer from a place in the file.</summary>
    public void Read(long position, Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var read = RandomAccess.Read(handle, buffer, position);
            if (read == 0)
                throw new ParquetError("the file ends here; it was cut off while it was read", position);
            position += read;
            buffer = buffer[read..];
        }
    }

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();
}
