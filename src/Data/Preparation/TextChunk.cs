using System.Buffers;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Preparation;

/// <summary>Consecutive text of one or more documents, and its tokens once encoded. Used by one thread at a time.</summary>
internal sealed class TextChunk
{
    /// <summary>UTF-16 units: enough for milliseconds of work, few enough to keep some waiting for each core.</summary>
    public const int DefaultCapacity = 1 << 18;

    private readonly char[] text;
    private readonly ArrayBufferWriter<int> ids = new(1 << 16);
    private readonly List<Segment> segments = [];
    private readonly List<EncodedSegment> encoded = [];

    public TextChunk(int capacity = DefaultCapacity) => text = new char[capacity];

    /// <summary><c>Place</c>, a piece without text, is for messages; <c>HeldOut</c> selects the second split.</summary>
    public readonly record struct Segment(int Start, int Length, bool StartsDocument, bool HeldOut, TextPiece Place);

    private readonly record struct EncodedSegment(int EndOfIds, int Characters, int Bytes);

    public int Filled { get; private set; }

    public int Room => text.Length - Filled;

    public int Capacity => text.Length;

    public List<Segment> Segments => segments;

    public ReadOnlySpan<char> Text(in Segment segment) => text.AsSpan(segment.Start, segment.Length);

    public void Append(ReadOnlySpan<char> part)
    {
        part.CopyTo(text.AsSpan(Filled));
        Filled += part.Length;
        segments[^1] = segments[^1] with { Length = segments[^1].Length + part.Length };
    }

    public void Begin(bool startsDocument, bool heldOut, in TextPiece place) =>
        segments.Add(new Segment(Filled, 0, startsDocument, heldOut, place with { Text = default }));

    public void Shorten(int length)
    {
        Filled -= segments[^1].Length - length;
        segments[^1] = segments[^1] with { Length = length };
    }

    public void Clear()
    {
        Filled = 0;
        segments.Clear();
        encoded.Clear();
        ids.ResetWrittenCount();
    }

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

    /// <summary>Writes the tokens to their splits. <paramref name="open"/> is the split of the last document, which ends when the next one
    /// starts; a document in both splits ends in the second.</summary>
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

/// <summary>Short documents share a chunk; long ones are cut where it is harmless (<see cref="TextCut"/>). The second split starts after
/// <c>keptCharacters</c> code points, or at the next pair of documents.</summary>
internal sealed class ChunkReader(Func<TextChunk> rent, long keptCharacters = long.MaxValue, bool keepsPairs = false)
{
    private long left = keptCharacters;
    private long documents;
    private bool isHeldOut = keptCharacters == 0;

    public IEnumerable<TextChunk> Read(IEnumerable<TextPiece> pieces)
    {
        var chunk = rent();
        foreach (var piece in pieces)
        {
            if (piece.Text.Length == 0)
                continue;
            var starts = piece.StartsDocument || chunk.Segments.Count == 0;
            if (starts && chunk.Filled > chunk.Capacity / 2 && piece.Text.Length > chunk.Room)
            {
                yield return chunk;
                chunk = rent();
            }
            if (piece.StartsDocument && (!keepsPairs || documents++ % 2 == 0))
                isHeldOut = left == 0;
            if (starts)
                chunk.Begin(piece.StartsDocument, isHeldOut, piece);
            for (var rest = piece.Text; ;)
            {
                rest = rest[Fill(chunk, rest.Span)..];
                if (rest.IsEmpty)
                    break;
                var full = chunk;
                chunk = rent();
                CarryOver(full, chunk);
                yield return full;
            }
        }
        if (chunk.Filled > 0)
            yield return chunk;
    }

    private int Fill(TextChunk chunk, ReadOnlySpan<char> text)
    {
        var taken = 0;
        while (taken < text.Length && Fitting(text[taken..], chunk.Room) is > 0 and var room)
        {
            if (left == 0 && !isHeldOut && !keepsPairs)
                BeginHeldOut(chunk);
            var part = text.Slice(taken, room);
            if (left > 0 && !keepsPairs)
                part = part[..CodePoints.Units(part, left)];
            if (left is > 0 and < long.MaxValue)
                left = Math.Max(0, left - CodePoints.Count(part));
            chunk.Append(part);
            taken += part.Length;
        }
        return taken;
    }

    private void BeginHeldOut(TextChunk chunk)
    {
        isHeldOut = true;
        var last = chunk.Segments[^1];
        var place = After(last.Place, chunk.Text(last));
        if (last.Length == 0)
            chunk.Segments.RemoveAt(chunk.Segments.Count - 1);
        chunk.Begin(last.StartsDocument && last.Length == 0, heldOut: true, place);
    }

    private static void CarryOver(TextChunk full, TextChunk next)
    {
        var segment = full.Segments[^1];
        var text = full.Text(segment);
        var cut = text.Length <= 2 ? text.Length : TextCut.Find(text);
        next.Begin(startsDocument: false, segment.HeldOut, After(segment.Place, text[..cut]));
        next.Append(text[cut..]);
        full.Shorten(cut);
    }

    /// <summary>The place behind a text: records count characters, files count lines.</summary>
    private static TextPiece After(in TextPiece place, ReadOnlySpan<char> text) => place.Record is { } record
        ? place with { Record = record with { Characters = record.Characters + CodePoints.Count(text) } }
        : place with { Line = place.Line + text.Count('\n') };

    private static int Fitting(ReadOnlySpan<char> text, int room) =>
        room >= text.Length ? text.Length
        : room > 0 && char.IsHighSurrogate(text[room - 1]) ? room - 1
        : room;
}

/// <summary>Encoded separately, both parts of a cut text should give the same tokens as together. For the split patterns in use that holds
/// before a line after a line break without surrounding white space, and before a single space between letters. Only long stretches without
/// either are cut elsewhere.</summary>
internal static class TextCut
{
    private const int Window = 1 << 16;

    /// <summary>The best place near the end of a text of more than two units; leaves something on both sides.</summary>
    public static int Find(ReadOnlySpan<char> text)
    {
        var from = Math.Max(1, text.Length - Window);
        return BetweenLines(text, from) ?? BeforeSpace(text, from) ?? AfterLineBreak(text, from) ?? Anywhere(text);
    }

    private static int? BetweenLines(ReadOnlySpan<char> text, int from)
    {
        for (var at = text[..^1].LastIndexOf('\n'); at >= from; at = text[..at].LastIndexOf('\n'))
            if (!char.IsWhiteSpace(text[at - 1]) && !char.IsWhiteSpace(text[at + 1]))
                return at + 1;
        return null;
    }

    private static int? BeforeSpace(ReadOnlySpan<char> text, int from)
    {
        for (var at = text[..^1].LastIndexOf(' '); at >= from; at = text[..at].LastIndexOf(' '))
            if (char.IsLetter(text[at - 1]) && char.IsLetter(text[at + 1]))
                return at;
        return null;
    }

    private static int? AfterLineBreak(ReadOnlySpan<char> text, int from) =>
        text[..^1].LastIndexOf('\n') is var at && at >= from ? at + 1 : null;

    private static int Anywhere(ReadOnlySpan<char> text) => char.IsLowSurrogate(text[^1]) ? text.Length - 2 : text.Length - 1;
}
