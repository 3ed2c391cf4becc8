using System.Buffers;
using System.Text.Unicode;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Reads UTF-8 files strictly and in bounded memory.</summary>
internal static class Utf8Text
{
    private const int PieceBytes = 1 << 20;
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public static IEnumerable<TextPiece> Read(string path, int pieceBytes = PieceBytes)
    {
        using var stream = SourceStream.Open(path);
        var bytes = new byte[pieceBytes];
        var text = new char[pieceBytes];
        var (filled, offset, line, first) = (0, 0L, 1L, true);
        while (true)
        {
            filled += stream.ReadAtLeast(bytes.AsSpan(filled), bytes.Length - filled, throwOnEndOfStream: false);
            var skipped = offset == 0 ? Skip(path, bytes.AsSpan(0, filled)) : 0;
            var piece = Decode(path, bytes.AsSpan(skipped, filled - skipped), text, offset + skipped, atEnd: filled < bytes.Length);
            if (piece.Bytes > 0)
                yield return new TextPiece(text.AsMemory(0, piece.Characters), first, path, line);
            if (filled < bytes.Length)
                yield break;
            line += text.AsSpan(0, piece.Characters).Count('\n');
            var used = skipped + piece.Bytes;
            bytes.AsSpan(used, filled - used).CopyTo(bytes);
            (filled, offset, first) = (filled - used, offset + used, false);
        }
    }

    private static int Skip(string path, ReadOnlySpan<byte> start)
    {
        if (start is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
            throw new UserException($"{path} is UTF-16, not UTF-8; convert it: iconv -f UTF-16 -t UTF-8 \"{path}\" > converted.txt");
        return start.StartsWith(ByteOrderMark) ? ByteOrderMark.Length : 0;
    }

    private static (int Characters, int Bytes) Decode(string path, ReadOnlySpan<byte> bytes, Span<char> text, long offset, bool atEnd)
    {
        var end = atEnd ? -1 : bytes.LastIndexOf((byte)'\n');
        var whole = end >= 0 ? bytes[..(end + 1)] : bytes;
        var status = Utf8.ToUtf16(whole, text, out var read, out var written, replaceInvalidSequences: false,
            isFinalBlock: atEnd || end >= 0);
        if (status == OperationStatus.InvalidData)
            throw new UserException(
                $"{path} is not valid UTF-8: byte 0x{whole[read]:X2} at offset {offset + read} begins no whole character; "
                + $"convert it (for Latin-1: iconv -f LATIN1 -t UTF-8 \"{path}\" > converted.txt)");
        return (written, read);
    }
}
