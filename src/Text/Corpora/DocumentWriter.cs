using System.Text.Encodings.Web;
using System.Text.Json;

namespace Trainer.Text;

/// <summary>Writes documents as JSON lines, each one string, or null for a record without text; long documents pass through piece by piece.</summary>
/// <param name="output">Where they go, in UTF-8.</param>
public sealed class DocumentWriter(Stream output) : IDisposable
{
    private static readonly byte[] Null = "null"u8.ToArray();
    private static readonly byte[] Quote = "\""u8.ToArray();
    private static readonly byte[] LineEnd = "\n"u8.ToArray();
    private static readonly byte[] QuotedLineEnd = "\"\n"u8.ToArray();

    private readonly BufferedStream output = new(output, 1 << 16);
    private bool isOpen;

    /// <summary>Writes a piece.</summary>
    /// <param name="piece">The piece, in the order of reading.</param>
    public void Add(in TextPiece piece)
    {
        if (piece.StartsDocument || piece.IsNull)
            EndDocument();
        if (piece.IsNull)
        {
            output.Write(Null);
            output.Write(LineEnd);
            return;
        }
        if (piece.StartsDocument)
            output.Write(Quote);
        isOpen = true;
        output.Write(JsonEncodedText.Encode(piece.Text.Span, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
    }

    /// <summary>Ends the last document and writes out what is left.</summary>
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
            output.Write(QuotedLineEnd);
        isOpen = false;
    }
}
