using Trainer.Configuration;

namespace Trainer.Text.Parquet;

/// <summary>Reads one column of text from a Parquet file (github.com/apache/parquet-format), row by row, holding one page in memory.</summary>
/// <remarks>
/// Read are columns of BYTE_ARRAY that are strings, enumerations, JSON, or unannotated; optional ones, also inside of
/// groups, but not in lists. All codecs but LZO, both page versions, and every encoding of strings. Other columns are never looked at.
/// </remarks>
internal sealed class ParquetTextReader : RecordReader
{
    private readonly string column;
    private readonly ParquetFile file;
    private readonly FileFooter footer;
    private readonly PageReader pages;
    private int chunk = -1;
    private Page? page;
    private long row;
    private ReadOnlyMemory<byte>? value;

    /// <summary>Opens a file and reads its footer.</summary>
    /// <param name="path">The file.</param>
    /// <param name="column">The column: its name, or the names of its groups and itself, joined by dots.</param>
    /// <exception cref="UserException">The file cannot be read, is damaged, or has no such column.</exception>
    public ParquetTextReader(string path, string column) : base(path, "row", $"column \"{column}\"")
    {
        this.column = column;
        file = Guard(() => new ParquetFile(path));
        try
        {
            footer = Guard(() => file.ReadFooter(column));
        }
        catch
        {
            file.Dispose();
            throw;
        }
        pages = new PageReader(file, footer.Column);
    }

    /// <inheritdoc/>
    public override long Number => row;

    /// <inheritdoc/>
    public override ReadOnlyMemory<byte>? Value => value;

    /// <inheritdoc/>
    public override bool Next()
    {
        try
        {
            return Advance();
        }
        catch (Exception e) when (e is ParquetError or IOException)
        {
            throw Explain(e);
        }
    }

    private bool Advance()
    {
        while (page is not { Left: > 0 })
        {
            page = pages.Next();
            if (page is not null)
                continue;
            if (++chunk >= footer.Chunks.Count)
                return false;
            pages.Open(footer.Chunks[chunk]);
        }
        row++;
        value = page.Next();
        return true;
    }

    private T Guard<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ParquetError or IOException or UnauthorizedAccessException)
        {
            throw Explain(e);
        }
    }

    private UserException Explain(Exception e) => e switch
    {
        ParquetError { IsDamage: true } error => new(
            $"{File} is damaged, column \"{column}\", at byte {error.Offset}{(row > 0 ? $" (near row {row})" : "")}: {error.Message}; get or write the file again", e),
        ParquetError error => new($"{File}, column \"{column}\": {error.Message}", e),
        _ => new($"{File} cannot be read: {e.Message}", e),
    };

    /// <inheritdoc/>
    public override void Dispose()
    {
        pages.Dispose();
        file.Dispose();
    }
}
