using System.Buffers;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Consecutive text of one or more documents, copied, and its tokens once it is encoded: the work of one thread at a time.</summary>
internal sealed class TextChunk
{
    /// <summary>UTF-16 units in a chunk: enough to keep a core busy for milliseconds, little enough to have some waiting for each core.</summary>
    public const int DefaultCapacity = 1 << 18;

    private readonly char[] text;
    private readonly ArrayBufferWriter<int> ids = new(1 << 16);
    private readonly List<Segment> segments = [];
    private readonly List<EncodedSegment> encoded = [];

    public TextChunk(int capacity = DefaultCapacity) => text = new char[capacity];

    /// <summary>A part of one document.</summary>
    /// <param name="Start">Its first UTF-16 unit.</param>
    /// <param name="Length">Its UTF-16 units.</param>
    /// <param name="StartsDocument">Whether the document begins here.</param>
    /// <param name="HeldOut">Whether it belongs to the second split.</param>
    /// <param name="Place">Where it stands in its file, for messages: a piece without its text.</param>
    public readonly record struct Segment(int Start, int Length, bool StartsDocument, bool HeldOut, TextPiece Place);

    private readonly record struct EncodedSegment(int EndOfIds, int Characters, int Bytes);

    public int Filled { get; private set; }

    public int Room => text.Length - Filled;

    public int Capacity => text.Length;

    public List<Segment> Segments => segments;

    public ReadOnlySpan<char> Text(in Segment segment) => text.AsSpan(segment.Start, segment.Length);

    /// <summary>Appends text to the last segment.</summary>
    public void Append(ReadOnlySpan<char> part)
    {
        part.CopyTo(text.AsSpan(Filled));
        Filled += part.Length;
        segments[^1] = segments[^1] with { Length = segments[^1].Length + part.Length };
    }

    /// <summary>Begins a segment, to which text is appended.</summary>
    public void Begin(bool startsDocument, bool heldOut, in TextPiece place) =>
        segments.Add(new Segment(Filled, 0, startsDocument, heldOut, place with { Text = default }));

    /// <summary>Leaves out the end of the last segment.</summary>
    public void Shorten(int length)
    {
        Filled -= segments[^1].Length - length;
        segments[^1] = segments[^1] with { Length = length };
    }

    /// <summary>Empties it for other text.</summary>
    public void Clear()
    {
        Filled = 0;
        segments.Clear();
        encoded.Clear();
        ids.ResetWrittenCount();
    }

    /// <summary>Encodes every segment by itself.</summary>
    /// <exception cref="UserException">A text that the tokenizer cannot express, with its place.</exception>
    public void Encode(Tokenizer tokenizer)
    {
        foreach (var segment in segments)
        {
            var part = Text(segment);
            try
            {
                tokenizer.Encode(part, ids);
            }
            catch (EncodingException e)
            {
                var piece = segment.Place with { Text = text.AsMemory(segment.Start, segment.Length) };
                throw new UserException($"{piece.Place(e.Position)}: {e.Reason}", e);
            }
            encoded.Add(new EncodedSegment(ids.WrittenCount, CodePoints.Count(part), Encoding.UTF8.GetByteCount(part)));
        }
    }

    /// <summary>Writes the tokens, in order, to their splits.</summary>
    /// <param name="kept">The first split.</param>
    /// <param name="heldOut">The second split.</param>
    /// <param name="open">Where the last document went, which ends when the next one starts: a document that both splits share ends in the second.</param>
    public void WriteTo(SplitWriter kept, SplitWriter heldOut, ref SplitWriter? open)
    {
        var start = 0;
        for (var i = 0; i < segments.Count; i++)
        {
            var (end, characters, bytes) = encoded[i];
            if (segments[i].StartsDocument)
                open?.EndDocument();
            open = segments[i].HeldOut ? heldOut : kept;
            open.Append(ids.WrittenSpan[start..end], segments[i].StartsDocument, characters, bytes);
            start = end;
        }
    }
}
