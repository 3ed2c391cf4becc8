namespace Trainer.Text.Parquet;

/// <summary>How pages are compressed (parquet.thrift, <c>CompressionCodec</c>).</summary>
internal enum Codec { Uncompressed, Snappy, Gzip, Lzo, Brotli, Lz4, Zstd, Lz4Raw }

/// <summary>The pages of one column in one row group.</summary>
/// <param name="Start">Where the first page, of a dictionary or of data, begins in the file.</param>
/// <param name="Bytes">The bytes of all its pages with their headers.</param>
/// <param name="Values">The number of values, nulls included.</param>
/// <param name="Codec">How its pages are compressed.</param>
internal sealed record ColumnChunk(long Start, long Bytes, long Values, Codec Codec)
{
    /// <summary>Reads what the footer says of one chunk (parquet.thrift, <c>ColumnChunk</c>).</summary>
    public static ColumnChunk Read(ref ThriftReader thrift)
    {
        ColumnChunk? chunk = null;
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Binary):
                    throw ParquetError.NotRead($"its pages are in another file, \"{thrift.String()}\"; name the files that hold the data");
                case (3, ThriftType.Struct):
                    chunk = Metadata(ref thrift);
                    break;
                case (8, ThriftType.Struct) or (9, ThriftType.Binary):
                    throw ParquetError.NotRead("it is encrypted; decrypt it first");
                default:
                    thrift.Skip(field);
                    break;
            }
        return chunk ?? throw thrift.Damage("a column has no metadata");
    }

    private static ColumnChunk Metadata(ref ThriftReader thrift)
    {
        var (type, codec, values, bytes, data, dictionary) = (-1, 0, -1L, -1L, -1L, 0L);
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Int32):
                    type = thrift.Int32();
                    break;
                case (4, ThriftType.Int32):
                    codec = thrift.Int32();
                    break;
                case (5, ThriftType.Int64):
                    values = thrift.Int64();
                    break;
                case (7, ThriftType.Int64):
                    bytes = thrift.Int64();
                    break;
                case (9, ThriftType.Int64):
                    data = thrift.Int64();
                    break;
                case (11, ThriftType.Int64):
                    dictionary = thrift.Int64();
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
        if (type != (int)PhysicalType.ByteArray)
            throw thrift.Damage($"a row group stores the column with type {type}, the schema with {(int)PhysicalType.ByteArray}");
        if (codec is < 0 or > (int)Codec.Lz4Raw)
            throw thrift.Damage($"the column is compressed with codec {codec}, which Parquet does not know");
        if (codec == (int)Codec.Lzo)
            throw ParquetError.NotRead("it is compressed with LZO, which is not read; write it with another codec, such as zstd");
        var start = dictionary > 0 && dictionary < data ? dictionary : data;   // writers that have no dictionary leave 0, or nothing
        return new ColumnChunk(start, bytes, values, (Codec)codec);
    }
}
