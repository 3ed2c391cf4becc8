using System.IO.Compression;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Parquet;
using ZstdSharp;

namespace Trainer.Data.Corpora;

/// <summary>Writes documents to a Parquet or JSON lines file with one field, <c>text</c>, from which they read back the same.</summary>
public static class DocumentFile
{
    /// <summary>The supported file extensions.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

    /// <summary>A document is one value of the table and must fit in memory.</summary>
    private const int MaxCharacters = 1 << 28;

    /// <summary>Whether the extension is supported.</summary>
    public static bool IsKnown(string path) => Extensions.Any(extension => path.EndsWith(extension, StringComparison.OrdinalIgnoreCase));

    /// <summary>Writes documents atomically, records without text as nulls; throws where a document is too long for a table.</summary>
    public static void Write(string path, IEnumerable<TextPiece> pieces)
    {
        if (path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase))
            ParquetTable.Write(path, [new(SourceOptions.DefaultColumn, ParquetKind.Text)],
                WholeDocuments.Of(pieces, MaxCharacters).Select(text => new object?[] { text }));
        else
            AtomicFile.Write(path, stream =>
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

/// <summary>Writes documents as JSON lines, null for a record without text; with <c>field</c>, an object each. Streams long ones.</summary>
public sealed class DocumentWriter(Stream output, string? field = null) : IDisposable
{
    private readonly byte[] before = Encoding.UTF8.GetBytes(field is null ? "" : $"{{{JsonSerializer.Serialize(field)}:");
    private readonly byte[] after = field is null ? "\n"u8.ToArray() : "}\n"u8.ToArray();
    private readonly BufferedStream output = new(output, 1 << 16);
    private bool isOpen;

    /// <summary>Writes a piece; pieces come in order.</summary>
    public void Add(in TextPiece piece)
    {
        if (piece.StartsDocument || piece.IsNull)
            EndDocument();
        if (piece.IsNull)
        {
            output.Write(before);
            output.Write("null"u8);
            output.Write(after);
            return;
        }
        if (piece.StartsDocument)
        {
            output.Write(before);
            output.Write("\""u8);
        }
        isOpen = true;
        output.Write(JsonEncodedText.Encode(piece.Text.Span, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
    }

    /// <summary>Ends the last document and flushes.</summary>
    public void Finish()
    {
        EndDocument();
        output.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => output.Dispose();

    private void EndDocument()
    {
        if (isOpen)
        {
            output.Write("\""u8);
            output.Write(after);
        }
        isOpen = false;
    }
}

/// <summary>Joins pieces into whole documents.</summary>
public static class WholeDocuments
{
    /// <summary>Whole documents, null for records without text; throws where one is longer than <paramref name="most"/>.</summary>
    public static IEnumerable<string?> Of(IEnumerable<TextPiece> pieces, int most)
    {
        StringBuilder? document = null;
        foreach (var piece in pieces)
        {
            if (document is not null && (piece.StartsDocument || piece.IsNull))
            {
                yield return document.ToString();
                document = null;
            }
            if (piece.IsNull)
            {
                yield return null;
                continue;
            }
            document ??= new StringBuilder();
            if (document.Length + piece.Text.Length > most)
                throw new UserException($"{piece.Place(0)}: the document has more than {most:N0} characters, too many for one value; split "
                    + "it, or take a part of it");
            document.Append(piece.Text.Span);
        }
        if (document is not null)
            yield return document.ToString();
    }
}
