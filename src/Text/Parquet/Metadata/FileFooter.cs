namespace Trainer.Text.Parquet;

/// <summary>What the footer of a Parquet file says of the one column that is read (parquet.thrift, <c>FileMetaData</c>).</summary>
/// <param name="Column">The column.</param>
/// <param name="Chunks">Its pages, by row group in order.</param>
internal sealed record FileFooter(SchemaLeaf Column, IReadOnlyList<ColumnChunk> Chunks)
{
    /// <summary>Reads a footer.</summary>
    /// <param name="bytes">The footer.</param>
    /// <param name="origin">Where it begins in the file: pages lie before it.</param>
    /// <param name="column">The path of the column.</param>
    public static FileFooter Read(ReadOnlySpan<byte> bytes, long origin, string column)
    {
        try
        {
            var thrift = new ThriftReader(bytes, origin);
            IReadOnlyList<SchemaLeaf>? leaves = null;
            var groups = thrift;
            var hasGroups = false;
            for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
                switch (id, field)
                {
                    case (2, ThriftType.List):
                        leaves = Schema.Read(ref thrift);
                        break;
                    case (4, ThriftType.List):
                        groups = thrift;   // a copy, read once the schema is known
                        hasGroups = true;
                        thrift.Skip(field);
                        break;
                    default:
                        thrift.Skip(field);
                        break;
                }
            if (leaves is null || !hasGroups)
                throw thrift.Damage($"the footer has no {(leaves is null ? "schema" : "row groups")}");
            var index = ColumnChoice.Find(leaves, column);
            return new FileFooter(leaves[index], RowGroups(ref groups, index, leaves.Count, origin));
        }
        catch (ThriftEnd e)
        {
            throw new ParquetError("the footer ends inside a value", e.Offset);
        }
    }

    private static List<ColumnChunk> RowGroups(ref ThriftReader thrift, int index, int columns, long limit)
    {
        var count = thrift.List(ThriftType.Struct);
        var chunks = new List<ColumnChunk>();
        for (; count > 0; count--)
        {
            var (chunk, rows) = RowGroup(ref thrift, index, columns);
            if (chunk.Values != rows)
                throw thrift.Damage($"row group {chunks.Count} has {rows} rows, and {chunk.Values} values in a column that has one a row");
            if (rows == 0)
                continue;
            if (chunk.Start < 4 || chunk.Bytes < 0 || chunk.Start > limit - chunk.Bytes)
                throw thrift.Damage($"row group {chunks.Count} has its column in {chunk.Bytes} bytes at {chunk.Start}, outside of the {limit} bytes before the footer");
            chunks.Add(chunk);
        }
        return chunks;
    }

    private static (ColumnChunk Chunk, long Rows) RowGroup(ref ThriftReader thrift, int index, int columns)
    {
        var (chunk, rows) = ((ColumnChunk?)null, -1L);
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.List):
                    var count = thrift.List(ThriftType.Struct);
                    if (count != columns)
                        throw thrift.Damage($"a row group has {count} columns, the schema {columns}");
                    for (var i = 0; i < count; i++)
                        if (i == index)
                            chunk = ColumnChunk.Read(ref thrift);
                        else
                            thrift.Skip(ThriftType.Struct);
                    break;
                case (3, ThriftType.Int64):
                    rows = thrift.Int64();
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
        return chunk is not null && rows >= 0 ? (chunk, rows) : throw thrift.Damage("a row group has no columns, or no number of rows");
    }
}
