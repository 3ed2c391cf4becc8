using Trainer.Text.Parquet;

namespace Trainer.Text;

/// <summary>A format that files come in.</summary>
/// <param name="Format">Its name in a recipe.</param>
/// <param name="Extensions">The extensions it is known by, in small letters.</param>
/// <param name="IsCompressible">Whether .gz and .zst may follow; where not, the format compresses by itself.</param>
/// <param name="HasColumns">Whether the text is one column of several.</param>
/// <param name="Read">Reads a file's column.</param>
internal sealed record FileFormat(
    SourceFormat Format, IReadOnlyList<string> Extensions, bool IsCompressible, bool HasColumns, Func<string, string, IEnumerable<TextPiece>> Read)
{
    /// <summary>The formats of files: one line here for each.</summary>
    public static IReadOnlyList<FileFormat> All { get; } =
    [
        new(SourceFormat.Text, [".txt", ".text"], IsCompressible: true, HasColumns: false, (path, _) => Utf8Text.Read(path)),
        new(SourceFormat.JsonLines, [".jsonl", ".ndjson", ".json"], IsCompressible: true, HasColumns: true, (path, column) => RecordReader.Pieces(() => new JsonLinesReader(path, column))),
        new(SourceFormat.Parquet, [".parquet", ".pq"], IsCompressible: false, HasColumns: true, (path, column) => RecordReader.Pieces(() => new ParquetTextReader(path, column))),
    ];

    /// <summary>The format as a recipe writes it.</summary>
    public string Name => Format switch { SourceFormat.JsonLines => "jsonl", var format => format.ToString().ToLowerInvariant() };

    /// <summary>The format of a recipe's name.</summary>
    public static FileFormat Of(SourceFormat format) => All.Single(known => known.Format == format);

    /// <summary>The format that a file's name tells, or null.</summary>
    public static FileFormat? ByName(string path)
    {
        var extension = Path.GetExtension(SourceStream.Uncompressed(path)).ToLowerInvariant();
        return All.FirstOrDefault(format => format.Extensions.Contains(extension));
    }
}
