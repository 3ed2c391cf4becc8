using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Reads a text file's lines as records; blank lines have no text.</summary>
internal sealed class TextLinesReader : RecordReader
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private readonly SourceStream stream;
    private readonly LineBuffer lines;

    public TextLinesReader(string path) : base(path, "line", "text")
    {
        stream = SourceStream.Open(path);
        lines = new LineBuffer(stream, path);
    }

    public override long Number => lines.Number;

    public override ReadOnlyMemory<byte>? Value
    {
        get
        {
            var line = lines.Line;
            if (lines.Number == 1 && line.Span.StartsWith(ByteOrderMark))
                line = line[ByteOrderMark.Length..];
            if (line.Span.EndsWith("\r"u8))
                line = line[..^1];
            return line.Span.Trim(" \t"u8).IsEmpty ? null : line;
        }
    }

    public override bool Next() => lines.Next();

    public override void Dispose() => stream.Dispose();
}

internal sealed class LineBuffer(Stream stream, string path, int longest = LineBuffer.Longest)
{
    /// <summary>Keeps a file without line breaks from filling the memory; no document of a corpus is nearly as long.</summary>
    public const int Longest = 256 << 20;

    private byte[] bytes = new byte[Math.Min(1 << 18, longest)];
    private int start;
    private int end;
    private int length;

    public long Number { get; private set; }

    public long Offset { get; private set; }

    /// <summary>The current line without its line feed, valid until <see cref="Next"/>.</summary>
    public ReadOnlyMemory<byte> Line => bytes.AsMemory(start, length);

    public bool Next()
    {
        if (Number > 0)
            Leave();
        Number++;
        for (var searched = 0; ;)
        {
            var found = bytes.AsSpan(start + searched, end - start - searched).IndexOf((byte)'\n');
            if (found >= 0)
            {
                length = searched + found;
                return true;
            }
            searched = end - start;
            if (!Fill())
            {
                length = end - start;
                return length > 0;
            }
        }
    }

    private void Leave()
    {
        var past = Math.Min(length + 1, end - start);
        start += past;
        Offset += past;
        length = 0;
    }

    private bool Fill()
    {
        if (start > 0)
        {
            bytes.AsSpan(start, end - start).CopyTo(bytes);
            (start, end) = (0, end - start);
        }
        if (end == bytes.Length)
        {
            if (end == longest)
                throw new UserException($"{path}, line {Number} (at byte {Offset}) has no end within {longest} bytes; each record ends "
                    + "with a line break");
            Array.Resize(ref bytes, (int)Math.Min(2L * end, longest));
        }
        var read = stream.Read(bytes.AsSpan(end));
        end += read;
        return read > 0;
    }
}
