using System.Buffers.Binary;

namespace Trainer.Data.Parquet;

/// <summary>A column's values in one row group, as the file itself says, for what Arrow does not tell: it takes unknown codecs for none,
/// and a damaged size of a page for memory to set aside (docs/upstream.md).</summary>
/// <param name="Codec">The number of the codec (CompressionCodec in parquet.thrift).</param>
/// <param name="Start">The first byte of the first page.</param>
/// <param name="Length">The bytes of all pages with their headers.</param>
/// <param name="Values">How many values there are, nulls included.</param>
internal sealed record ParquetChunk(long Codec, long Start, long Length, long Values)
{
    /// <summary>The greatest number of a codec: LZ4_RAW.</summary>
    private const int LastCodec = 7;

    /// <summary>Writers older than parquet-mr 1.2.9 leave the dictionary page's header out of a chunk's length; Arrow allows as much for
    /// it.</summary>
    private const int Padding = 100;

    /// <summary>Whether the format has this codec.</summary>
    public bool HasKnownCodec => Codec is >= 0 and <= LastCodec;

    /// <summary>Reads the chunks of a column from the file's footer: one for each row group, or null where its place is not told, as of
    /// encrypted columns.</summary>
    /// <exception cref="InvalidDataException">The footer is damaged.</exception>
    public static IReadOnlyList<ParquetChunk?> ReadAll(Stream file, int column)
    {
        Span<byte> length = stackalloc byte[4];
        file.Position = file.Length - 8;
        file.ReadExactly(length);
        var start = file.Length - 8 - BinaryPrimitives.ReadUInt32LittleEndian(length);
        if (start < 4)
            throw new InvalidDataException("it is longer than the file");
        file.Position = start;
        List<ParquetChunk?> chunks = [];
        ThriftReader thrift = new(file);
        thrift.Struct((id, type) =>
            (id, type) is (4, ThriftType.List) && Do(() => thrift.Structs(_ => chunks.Add(ReadGroup(thrift, column)))));
        return chunks;
    }

    /// <summary>Reads the headers of the pages up to the last value, or to the chunk's end.</summary>
    /// <exception cref="InvalidDataException">A header is damaged, or says that its page has more bytes than are left.</exception>
    public void CheckPages(Stream file)
    {
        var end = Math.Min(Start + Length + Padding, file.Length);
        file.Position = Start;
        ThriftReader thrift = new(file);
        for (var (page, values) = (0, 0L); values < Values && file.Position < Start + Length; page++)
        {
            var (at, size) = (file.Position, 0L);
            thrift.Struct((id, type) => (id, type) switch
            {
                (3, ThriftType.Int32) => Do(() => size = thrift.Integer()),
                (5 or 8, ThriftType.Struct) =>
                    Do(() => thrift.Struct((id, type) => (id, type) is (1, ThriftType.Int32) && Do(() => values += thrift.Integer()))),
                _ => false,
            });
            if (size < 0 || size > end - file.Position)
                throw new InvalidDataException(
                    $"page {page} at byte {at} says that it has {size:N0} bytes, and its column chunk has " +
                    $"{Math.Max(0, end - file.Position):N0} more");
            file.Position += size;
        }
    }

    private static ParquetChunk? ReadGroup(ThriftReader thrift, int column)
    {
        ParquetChunk? chunk = null;
        thrift.Struct((id, type) => (id, type) is (1, ThriftType.List)
            && Do(() => thrift.Structs(i => chunk = Read(thrift) is var read && i == column ? read : chunk)));
        return chunk;
    }

    private static ParquetChunk? Read(ThriftReader thrift)
    {
        ParquetChunk? chunk = null;
        thrift.Struct((id, type) => (id, type) is (3, ThriftType.Struct) && Do(() => chunk = ReadMetadata(thrift)));
        return chunk;
    }

    private static ParquetChunk ReadMetadata(ThriftReader thrift)
    {
        var (codec, values, length, data, dictionary) = (0L, 0L, 0L, 0L, 0L);
        thrift.Struct((id, type) => (id, type) switch
        {
            (4, ThriftType.Int32) => Do(() => codec = thrift.Integer()),
            (5, ThriftType.Int64) => Do(() => values = thrift.Integer()),
            (7, ThriftType.Int64) => Do(() => length = thrift.Integer()),
            (9, ThriftType.Int64) => Do(() => data = thrift.Integer()),
            (11, ThriftType.Int64) => Do(() => dictionary = thrift.Integer()),
            _ => false,
        });
        return new(codec, dictionary > 0 && dictionary < data ? dictionary : data, length, values);
    }

    private static bool Do(Action read)
    {
        read();
        return true;
    }
}
