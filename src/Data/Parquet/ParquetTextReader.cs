using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ParquetSharp;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Parquet;

/// <summary>Reads one text column of a Parquet file (github.com/apache/parquet-format) row by row, with Arrow's C++ reader (ParquetSharp):
/// BYTE_ARRAY as strings, enumerations, JSON, or unannotated (older writers), optional or inside groups, but not in lists. Other columns
/// are never read. A chunk of up to 16 MiB is in memory at a time, or one page of a larger one.</summary>
internal sealed partial class ParquetTextReader : RecordReader
{
    private const int BatchRows = 512;
    private const int BufferBytes = 1 << 20;

    private const int MaxChunkBytes = 1 << 24;

    private readonly string column;
    private readonly ReaderProperties properties = ReaderProperties.GetDefaultReaderProperties();
    private readonly ParquetFileReader file;
    private readonly int index;
    private readonly int maxDefinition;
    private readonly FileStream? layout;
    private readonly IReadOnlyList<ParquetChunk?> chunks = [];
    private readonly ByteArray[] texts = new ByteArray[BatchRows];
    private readonly short[] definitions = new short[BatchRows];
    private int group = -1;
    private RowGroupReader? rows;
    private ColumnReader? reader;
    private long groupRows;
    private long rowsRead;
    private (int Next, int Count, int NextText) batch;
    private long row;
    private byte[] bytes = new byte[1 << 12];
    private ReadOnlyMemory<byte>? value;

    /// <summary>Opens a file and reads its footer. A nested column is named by its path, joined by dots. Chunks of up to
    /// <paramref name="maxChunkBytes"/> are read as a whole, which bounds their pages. Larger ones are read through a buffer, where Arrow
    /// trusts the page for its size, and a damaged one cost 2 GB of memory: their page sizes are checked before.</summary>
    public ParquetTextReader(string path, string column, long maxChunkBytes = MaxChunkBytes) : base(path, "row", $"column \"{column}\"")
    {
        this.column = column;
        CheckEnds();
        properties.EnablePageChecksumVerification();
        try
        {
            file = new ParquetFileReader(path, properties);
            (index, maxDefinition) = ParquetColumns.Find(file.FileMetaData.Schema, File, column);
            layout = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            chunks = ReadChunks();
            if (chunks.Any(chunk => chunk?.Length > maxChunkBytes))
            {
                file.Dispose();
                properties.EnableBufferedStream();
                properties.BufferSize = BufferBytes;
                file = new ParquetFileReader(path, properties);
            }
        }
        catch (Exception e)
        {
            Dispose();
            if (IsOfLibrary(e))
                throw Explain(e);
            throw;
        }
    }

    public override long Number => row;

    public override ReadOnlyMemory<byte>? Value => value;

    public override bool Next()
    {
        try
        {
            while (batch.Next == batch.Count)
                if (!ReadBatch() && !NextGroup())
                    return false;
            row++;
            value = maxDefinition == 0 || definitions[batch.Next] == maxDefinition
                ? Copy(texts[batch.NextText++]) : default(ReadOnlyMemory<byte>?);
            batch.Next++;
            return true;
        }
        catch (Exception e) when (IsOfLibrary(e))
        {
            throw Explain(e);
        }
    }

    public override void Dispose()
    {
        reader?.Dispose();
        rows?.Dispose();
        file?.Dispose();
        properties.Dispose();
        layout?.Dispose();
    }

    private IReadOnlyList<ParquetChunk?> ReadChunks()
    {
        IReadOnlyList<ParquetChunk?> read;
        try
        {
            read = ParquetChunk.ReadAll(layout!, index);
        }
        catch (InvalidDataException e)
        {
            throw Damaged(e.Message, inner: e);
        }
        if (read.Index().FirstOrDefault(item => item.Item is { HasKnownCodec: false }) is (var group, { } chunk))
            throw new UserException(
                $"{File}, column \"{column}\", row group {group}: it is compressed with codec {chunk.Codec}, which is not known here; " +
                    "write it with another codec, such as zstd");
        return read;
    }

    private void CheckPages()
    {
        if (!properties.IsBufferedStreamEnabled || chunks.ElementAtOrDefault(group) is not { } chunk)
            return;
        try
        {
            chunk.CheckPages(layout!);
        }
        catch (InvalidDataException e)
        {
            throw Damaged($"row group {group}: {e.Message}", inner: e);
        }
    }

    /// <summary>Arrow's errors, and ParquetSharp's at numbers that it has no name for.</summary>
    private static bool IsOfLibrary(Exception e) => e is ParquetException or ArgumentException;

    private bool ReadBatch()
    {
        if (reader is not ColumnReader<ByteArray> column || !column.HasNext)
            return false;
        var count = (int)column.ReadBatch(BatchRows, maxDefinition > 0 ? definitions : [], [], texts, out var present);
        var defined = maxDefinition > 0 ? definitions.AsSpan(0, count).Count((short)maxDefinition) : count;
        if (count == 0 || present != defined)
            throw Damaged($"a page has {count} rows more, {defined} of them with a text, and {present} texts");
        rowsRead += count;
        if (rowsRead > groupRows)
            throw Damaged($"row group {group} has {groupRows} rows, and its column at least {rowsRead}");
        batch = (0, count, 0);
        return true;
    }

    private bool NextGroup()
    {
        if (rowsRead < groupRows)
            throw Damaged($"row group {group} has {groupRows} rows, and its column {rowsRead}");
        reader?.Dispose();
        rows?.Dispose();
        (reader, rows) = (null, null);
        if (++group >= file.FileMetaData.NumRowGroups)
            return false;
        rows = file.RowGroup(group);
        (groupRows, rowsRead) = (rows.MetaData.NumRows, 0);
        if (maxDefinition > 0)
            CheckLevels(rows.MetaData);
        CheckPages();
        reader = rows.Column(index);
        return true;
    }

    /// <summary>Arrow takes the deprecated levels from the wrong end of each byte (docs/upstream.md). A column that needs levels and lacks
    /// the current ones has these.</summary>
    private void CheckLevels(RowGroupMetaData rows)
    {
        using var chunk = rows.GetColumnChunkMetaData(index);
        if (chunk.Encodings.Contains(Encoding.BitPacked) && !chunk.Encodings.Contains(Encoding.Rle))
            throw new UserException(
                $"{File}, column \"{column}\": its nulls are encoded as BIT_PACKED, which is deprecated and not read; write the file " +
                "again with another writer");
    }

    private ReadOnlyMemory<byte> Copy(ByteArray text)
    {
        if (bytes.Length < text.Length)
            bytes = new byte[Math.Max(text.Length, Math.Min(2 * bytes.Length, 1 << 20))];
        if (text.Length > 0)
            Marshal.Copy(text.Pointer, bytes, 0, text.Length);
        return bytes.AsMemory(0, text.Length);
    }

    /// <summary>Detects truncated files, and others that are no Parquet, before Arrow sees them.</summary>
    private void CheckEnds()
    {
        try
        {
            using var stream = new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            Span<byte> ends = stackalloc byte[8];
            if (stream.Length < 12)
                throw Damaged($"the file has {stream.Length} bytes; the smallest Parquet file has 12", 0);
            stream.ReadExactly(ends[..4]);
            stream.Position = stream.Length - 4;
            stream.ReadExactly(ends[4..]);
            if (ends[4..].SequenceEqual("PARE"u8))
                throw new UserException($"{File}, column \"{column}\": it is encrypted; decrypt it first");
            if (!ends[..4].SequenceEqual("PAR1"u8) || !ends[4..].SequenceEqual("PAR1"u8))
                throw Damaged("the file does not begin and end with PAR1, as Parquet does; it is cut off, or is something else", ends[..4]
                    .SequenceEqual("PAR1"u8) ? stream.Length - 4 : 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{File} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Arrow's messages are <c>type (message: 'kind: text')</c>; damage in compressed pages is an IOError, too.</summary>
    private UserException Explain(Exception e)
    {
        var message = Message().Match(e.Message) is { Success: true } match ? match.Groups[1].Value : e.Message;
        var reason = message.ReplaceLineEndings(" ").Trim().TrimEnd('.');
        if (reason.Contains("[errno ", StringComparison.Ordinal))
            return new UserException($"{File} cannot be read: {reason}", e);
        if (reason.Contains("LZO", StringComparison.Ordinal))
            return new UserException(
                $"{File}, column \"{column}\": it is compressed with LZO, which is not read; write it with another codec, such as zstd", e);
        if (reason.Contains("crypt", StringComparison.Ordinal))
            return new UserException($"{File}, column \"{column}\": it is encrypted; decrypt it first", e);
        return Damaged(reason, inner: e);
    }

    [GeneratedRegex(@"\(message: '(?:IOError: |Invalid: )?(.*)'\)\s*$", RegexOptions.Singleline)]
    private static partial Regex Message();

    private UserException Damaged(string reason, long? offset = null, Exception? inner = null)
    {
        var place = offset is { } at ? $"at byte {at}" : group < 0 ? "in its footer" : $"at row {row + 1} or after it";
        return new UserException($"{File} is damaged, column \"{column}\", {place}: {reason}; get or write the file again", inner);
    }
}
