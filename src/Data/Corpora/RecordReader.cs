using System.Buffers;
using System.Text.Unicode;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Corpora;

/// <summary>Reads one field, such as <c>column "text"</c>, of records, each a <paramref name="unit"/>: <c>line</c> or <c>row</c>.</summary>
internal abstract class RecordReader(string path, string unit, string field) : IDisposable
{
    private const int PieceBytes = 1 << 20;

    private char[] text = new char[1 << 12];

    protected string File => path;

    /// <summary>The current record's line or row, from 1.</summary>
    public abstract long Number { get; }

    /// <summary>The current text in UTF-8, valid until <see cref="Next"/>; null if the record has none.</summary>
    public abstract ReadOnlyMemory<byte>? Value { get; }

    public abstract bool Next();

    public virtual void Dispose() { }

    public static IEnumerable<TextPiece> Pieces(Func<RecordReader> open)
    {
        using var reader = open();
        while (reader.Next())
            foreach (var piece in reader.Pieces())
                yield return piece;
    }

    public IEnumerable<TextPiece> Pieces()
    {
        if (Value is not { } value)
        {
            yield return Piece(default, 0) with { IsNull = true };
            yield break;
        }
        var (start, characters) = (0, 0L);
        do
        {
            var bytes = value[start..(start + Cut(value.Span[start..]))];
            var length = Decode(bytes.Span, start);
            yield return Piece(text.AsMemory(0, length), characters) with { StartsDocument = start == 0 };
            start += bytes.Length;
            characters += start < value.Length ? CodePoints.Count(text.AsSpan(0, length)) : 0;
        }
        while (start < value.Length);
    }

    private TextPiece Piece(ReadOnlyMemory<char> part, long characters) =>
        new(part, StartsDocument: true, path, Number) { Record = new RecordPlace(unit, field, characters) };

    /// <summary>The length of the next piece: up to a line break if possible, and never inside a character.</summary>
    private static int Cut(ReadOnlySpan<byte> rest)
    {
        if (rest.Length <= PieceBytes)
            return rest.Length;
        var end = rest[..PieceBytes].LastIndexOf((byte)'\n') + 1;
        if (end > 0)
            return end;
        end = PieceBytes;
        while (end > PieceBytes - 4 && (rest[end] & 0xC0) == 0x80)
            end--;
        return end;
    }

    private int Decode(ReadOnlySpan<byte> bytes, int start)
    {
        if (text.Length < bytes.Length)
            text = new char[Math.Max(bytes.Length, Math.Min(2 * text.Length, PieceBytes))];
        if (Utf8.ToUtf16(bytes, text, out var read, out var written, replaceInvalidSequences: false) != OperationStatus.Done)
            throw new UserException(
                $"{path}, {unit} {Number}: {field} is not valid UTF-8: byte 0x{bytes[read]:X2} at position {start + read} of the text "
                + "begins no whole character; write the file again as UTF-8");
        return written;
    }
}
