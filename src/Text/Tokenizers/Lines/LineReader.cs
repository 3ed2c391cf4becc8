namespace Trainer.Text;

/// <summary>Reads lines of bytes of any length, and says when it is about to wait for more.</summary>
/// <param name="stream">What to read.</param>
/// <param name="beforeWaiting">Called before every read from the stream, which may wait.</param>
internal sealed class LineReader(Stream stream, Action beforeWaiting)
{
    private byte[] buffer = new byte[1 << 16];
    private int start;
    private int end;
    private bool ended;

    /// <summary>The number of the line that was read last, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>Reads the next line.</summary>
    /// <param name="line">Its bytes without the line break; valid until the next call.</param>
    /// <returns>False when there are no more lines.</returns>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        var searched = 0;
        int length;
        while ((length = buffer.AsSpan(start + searched, end - start - searched).IndexOf((byte)'\n')) < 0)
        {
            searched = end - start;
            if (!ended)
                Fill();
            else if (searched == 0)
            {
                line = default;
                return false;
            }
            else
                return Take(searched, 0, out line);
        }
        return Take(searched + length, 1, out line);
    }

    private bool Take(int length, int lineBreak, out ReadOnlySpan<byte> line)
    {
        line = buffer.AsSpan(start, length).TrimEnd((byte)'\r');
        start += length + lineBreak;
        Number++;
        return true;
    }

    private void Fill()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        if (end == buffer.Length)
            Array.Resize(ref buffer, checked(2 * buffer.Length));
        beforeWaiting();
        var read = stream.Read(buffer, end, buffer.Length - end);
        ended = read == 0;
        end += read;
    }
}
