namespace Trainer.Text;

/// <summary>Decompresses a stream of Zstandard frames.</summary>
/// <param name="source">The compressed stream; it is disposed of with this one.</param>
internal sealed class ZstdStream(Stream source) : ReadOnlyStream
{
    private readonly ZstdDecoder decoder = new();
    private readonly byte[] input = new byte[1 << 17];
    private int start;
    private int end;

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">The stream is not Zstandard, is damaged, or ends inside a frame.</exception>
    public override int Read(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            // Output may be waiting inside the decoder after all input was taken, so it is asked before the source is.
            var (read, written) = decoder.Decode(input.AsSpan(start, end - start), buffer);
            start += read;
            if (written > 0)
                return written;
            if (start == end && !Fill())
                return 0;
        }
        return 0;
    }

    private bool Fill()
    {
        (start, end) = (0, source.Read(input));
        if (end == 0 && decoder.InsideFrame)
            throw new InvalidDataException("Zstandard: the file ends inside a frame");
        return end > 0;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            decoder.Dispose();
            source.Dispose();
        }
        base.Dispose(disposing);
    }
}
