using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Trainer.Data;

/// <summary>Writes documents as JSON lines, each one string, or null for a record without text; long documents pass through piece by piece.</summary>
/// <param name="output">Where they go, in UTF-8.</param>
/// <param name="field">When given, each line is an object with this one field.</param>
public sealed class DocumentWriter(Stream output, string? field = null) : IDisposable
{
    private readonly byte[] before = Encoding.UTF8.GetBytes(field is null ? "" : $"{{{JsonSerializer.Serialize(field)}:");
    private readonly byte[] after = field is null ? "\n"u8.ToArray() : "}\n"u8.ToArray();
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
        {
            output.Write("\""u8);
            output.Write(after);
        }
        isOpen = false;
    }
}
