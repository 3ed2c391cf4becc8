using System.IO.Compression;
using Trainer.Configuration;
using Trainer.Data.Parquet;
using ZstdSharp;

namespace Trainer.Data;

/// <summary>Writes documents to a file from which they are read again the same: a table or JSON lines with one field, <c>text</c>.</summary>
public static class DocumentFile
{
    /// <summary>What the names of such files end in.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

    /// <summary>A document is one value of a table, in memory as a whole.</summary>
    private const int MostCharacters = 1 << 28;

    /// <summary>Whether the name says how the file is written.</summary>
    public static bool IsKnown(string path) => Extensions.Any(extension => path.EndsWith(extension, StringComparison.OrdinalIgnoreCase));

    /// <summary>Writes documents; records without text become nulls. The file is whole or not there.</summary>
    /// <param name="path">The file, with one of the <see cref="Extensions"/>; replaced when it is there.</param>
    /// <param name="pieces">The documents in pieces.</param>
    /// <exception cref="UserException">The file cannot be written, or a document is too long for a table.</exception>
    public static void Write(string path, IEnumerable<TextPiece> pieces)
    {
        if (path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase))
            ParquetTable.Write(path, [new(SourceOptions.DefaultColumn, ParquetKind.Text)], WholeDocuments.Of(pieces, MostCharacters).Select(text => new object?[] { text }));
        else
            WholeFile.Write(path, stream =>
            {
                using var compressed = Compressed(path, stream);
                var writer = new DocumentWriter(compressed ?? stream, SourceOptions.DefaultColumn);
                foreach (var piece in pieces)
                    writer.Add(piece);
                writer.Finish();
            });
    }

    private static Stream? Compressed(string path, Stream file)
    {
        if (path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
            return new GZipStream(file, CompressionLevel.Optimal, leaveOpen: true);
        if (!path.EndsWith(".zst", StringComparison.OrdinalIgnoreCase))
            return null;
        var zstd = new CompressionStream(file, leaveOpen: true);
        zstd.SetParameter(ZstdSharp.Unsafe.ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        return zstd;
    }
}
