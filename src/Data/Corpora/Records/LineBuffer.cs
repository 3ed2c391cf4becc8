using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The lines of a stream, each whole in memory.</summary>
/// <param name="stream">The stream.</param>
/// <param name="path">Its file, for messages.</param>
/// <param name="longest">The most bytes a line may have.</param>
internal sealed class LineBuffer(Stream stream, string path, int longest = LineBuffer.Longest)
{
    /// <summary>A file without line breaks must not fill the memory; no document of a corpus is nearly as long.</summary>
    public const int Longest = 256 << 20;

    private byte[] bytes = new byte[Math.Min(1 << 18, longest)];
    private int start;
    private int end;
    private int length;

    /// <summary>The number of the current line, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>Where the current line begins in the (decompressed) stream.</summary>
    public long Offset { get; private set; }

    /// <summary>The current line without its line feed, valid until <see cref="Next"/>.</summary>
    public ReadOnlyMemory<byte> Line => bytes.AsMemory(start, length);

    /// <summary>Goes to the next line; an end without line feed ends a line, too.</summary>
    /// <exception cref="UserException">The file cannot be read, or the line is too long.</exception>
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
                throw new UserException($"{path}, line {Number} (at byte {Offset}) has no end within {longest} bytes; each record ends with a line break");
            Array.Resize(ref bytes, (int)Math.Min(2L * end, longest));
        }
        var read = stream.Read(bytes.AsSpan(end));
        end += read;
        return read > 0;
    }
}
