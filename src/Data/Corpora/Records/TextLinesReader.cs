namespace Trainer.Data;

/// <summary>Reads the lines of a text file, each as a record; blank ones have no text.</summary>
internal sealed class TextLinesReader : RecordReader
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private readonly SourceStream stream;
    private readonly LineBuffer lines;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The file, compressed or not.</param>
    /// <exception cref="Configuration.UserException">The file cannot be opened.</exception>
    public TextLinesReader(string path) : base(path, "line", "text")
    {
        stream = SourceStream.Open(path);
        lines = new LineBuffer(stream, path);
    }

    /// <inheritdoc/>
    public override long Number => lines.Number;

    /// <inheritdoc/>
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

    /// <inheritdoc/>
    public override bool Next() => lines.Next();

    /// <inheritdoc/>
    public override void Dispose() => stream.Dispose();
}
