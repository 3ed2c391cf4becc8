using Trainer.Data.Parquet;

namespace Trainer.Data;

/// <summary>A format that files come in.</summary>
/// <param name="Format">Its name in a recipe.</param>
/// <param name="Extensions">The extensions it is known by, in small letters.</param>
/// <param name="IsCompressible">Whether .gz and .zst may follow; where not, the format compresses by itself.</param>
/// <param name="HasColumns">Whether the text is one column of several.</param>
/// <param name="Records">Opens a file's records; of a format without columns these are its lines, which only pairs are made of.</param>
internal sealed record FileFormat(
    SourceFormat Format, IReadOnlyList<string> Extensions, bool IsCompressible, bool HasColumns, Func<string, string, RecordReader> Records)
{
    /// <summary>The formats of files: one line here for each.</summary>
    public static IReadOnlyList<FileFormat> All { get; } =
    [
        new(SourceFormat.Text, [".txt", ".text"], IsCompressible: true, HasColumns: false, (path, _) => new TextLinesReader(path)),
        new(SourceFormat.JsonLines, [".jsonl", ".ndjson", ".json"], IsCompressible: true, HasColumns: true, (path, column) => new JsonLinesReader(path, column)),
        new(SourceFormat.Parquet, [".parquet", ".pq"], IsCompressible: false, HasColumns: true, (path, column) => new ParquetTextReader(path, column)),
    ];

    /// <summary>Reads a file: as one document, or one of its columns.</summary>
    public IEnumerable<TextPiece> Read(string path, string column) =>
        HasColumns ? RecordReader.Pieces(() => Records(path, column)) : Utf8Text.Read(path);

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
