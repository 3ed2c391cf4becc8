using System.Buffers.Binary;

namespace Trainer.Data.Parquet;

/// <summary>A column's values in one row group according to the file itself, which Arrow does not check: it takes unknown codecs for none,
/// and a damaged page size for memory to allocate (docs/upstream.md). <c>Codec</c> is that of parquet.thrift; <c>Start</c> and
/// <c>Length</c> are the bytes of all pages with their headers; <c>Values</c> includes nulls.</summary>
internal sealed record ParquetChunk(long Codec, long Start, long Length, long Values)
{
    private const int LastCodec = 7;

    /// <summary>Writers before parquet-mr 1.2.9 leave the dictionary page's header out of a chunk's length; Arrow allows this.</summary>
    private const int Padding = 100;

    public bool HasKnownCodec => Codec is >= 0 and <= LastCodec;

    /// <summary>The chunks of a column from the file's footer, one for each row group; null where its place is not given, as for encrypted
    /// columns. A damaged footer is an <see cref="InvalidDataException"/>.</summary>
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

    /// <summary>Reads the page headers up to the last value, or to the chunk's end. A damaged header, or one of a page with more bytes than
    /// are left, is an <see cref="InvalidDataException"/>.</summary>
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
