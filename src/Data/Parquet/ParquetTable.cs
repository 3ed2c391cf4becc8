using System.IO.Compression;
using System.Text;
using Parquet;
using Parquet.Schema;
using Trainer.Configuration;

namespace Trainer.Data.Parquet;

/// <summary>The type of a column.</summary>
public enum ParquetKind
{
    /// <summary>Strings.</summary>
    Text,

    /// <summary>Integers of 64 bits.</summary>
    Integer,

    /// <summary>Floating-point numbers of 64 bits.</summary>
    Number,
}

/// <summary>A column of a table; any value may be missing.</summary>
public sealed record ParquetColumn(string Name, ParquetKind Kind);

/// <summary>Writes tables as Parquet files for notebooks, with Parquet.Net: Zstandard, in row groups of bounded size.</summary>
public static class ParquetTable
{
    private const int MaxRows = 1 << 17;

    private const long MaxTextBytes = 1 << 24;

    /// <summary>Writes a table atomically and returns its number of rows: a string, long, double or null for each column. A row is read
    /// before the next one is requested.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static long Write(string path, IReadOnlyList<ParquetColumn> columns, IEnumerable<IReadOnlyList<object?>> rows)
    {
        var count = 0L;
        AtomicFile.Write(path, stream => count = Write(stream, columns, rows).GetAwaiter().GetResult());
        return count;
    }

    private static async Task<long> Write(Stream stream, IReadOnlyList<ParquetColumn> columns, IEnumerable<IReadOnlyList<object?>> rows)
    {
        ColumnBuffer[] buffers = [.. columns.Select(ColumnBuffer.Of)];
        var schema = new ParquetSchema(buffers.Select(buffer => buffer.Field));
        // Parquet.Net's default, SmallestSize, takes 50 times as long for a fifth less.
        var options = new ParquetOptions { CompressionMethod = CompressionMethod.Zstd, CompressionLevel = CompressionLevel.Optimal };
        await using var writer = await ParquetWriter.CreateAsync(schema, stream, options);
        var (written, filled) = (0L, 0);
        foreach (var row in rows)
        {
            for (var i = 0; i < buffers.Length; i++)
                buffers[i].Add(row[i]);
            if (++filled == MaxRows || buffers.Sum(buffer => buffer.TextBytes) >= MaxTextBytes)
                (written, filled) = (written + filled, await Flush(writer, buffers));
        }
        if (filled > 0)
            (written, filled) = (written + filled, await Flush(writer, buffers));
        return written;
    }

    private static async Task<int> Flush(ParquetWriter writer, ColumnBuffer[] buffers)
    {
        using var group = writer.CreateRowGroup();
        foreach (var buffer in buffers)
            await buffer.Write(group);
        group.CompleteValidate();
        return 0;
    }

    private abstract class ColumnBuffer(DataField column)
    {
        public DataField Field => column;

        public long TextBytes { get; protected set; }

        public static ColumnBuffer Of(ParquetColumn column) => column.Kind switch
        {
            ParquetKind.Text => new TextBuffer(new DataField<string>(column.Name)),
            ParquetKind.Integer => new ValueBuffer<long>(new DataField<long?>(column.Name)),
            _ => new ValueBuffer<double>(new DataField<double?>(column.Name)),
        };

        public abstract void Add(object? value);

        public abstract Task Write(ParquetRowGroupWriter group);
    }

    /// <summary>Text goes to Parquet.Net as UTF-8 bytes, for which it writes no minimum and maximum. Those of strings are whole values,
    /// which readers refuse beyond 16 MiB in a page's header, in an order that makes readers skip rows with letters beyond U+FFFF
    /// (docs/upstream.md).</summary>
    private sealed class TextBuffer : ColumnBuffer
    {
        private readonly List<byte[]?> values = [];
        private readonly DataField<byte[]> bytes;

        public TextBuffer(DataField<string> field) : base(field)
        {
            bytes = new(field.Name);
            _ = new ParquetSchema(bytes);   // a field is written only if a schema has it; the file's has the string
        }

        public override void Add(object? value)
        {
            values.Add(value is string text ? Encoding.UTF8.GetBytes(text) : null);
            TextBytes += values[^1]?.Length ?? 0;
        }

        public override async Task Write(ParquetRowGroupWriter group)
        {
            await group.WriteAsync(bytes, values);
            values.Clear();
            TextBytes = 0;
        }
    }

    private sealed class ValueBuffer<T>(DataField field) : ColumnBuffer(field) where T : struct
    {
        private readonly List<T?> values = [];

        public override void Add(object? value) => values.Add((T?)value);

        public override async Task Write(ParquetRowGroupWriter group)
        {
            await group.WriteAsync<T>(Field, values.ToArray());
            values.Clear();
        }
    }
}
