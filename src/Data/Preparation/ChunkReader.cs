namespace Trainer.Data;

/// <summary>Gathers the pieces of documents into chunks: short documents share one, long ones are cut where it does no harm (see <see cref="TextCut"/>).</summary>
/// <param name="rent">Gives an empty chunk.</param>
/// <param name="keptCharacters">After so many code points the second split begins.</param>
/// <param name="keepsPairs">Whether it begins with the next pair of documents, not at the very character.</param>
internal sealed class ChunkReader(Func<TextChunk> rent, long keptCharacters = long.MaxValue, bool keepsPairs = false)
{
    private long left = keptCharacters;
    private long documents;
    private bool isHeldOut = keptCharacters == 0;

    /// <summary>Reads all pieces.</summary>
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

    /// <summary>Appends as much of a text as there is room for, crossing from the first split to the second where that falls.</summary>
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

    /// <summary>Cuts the document that a full chunk ends in, and begins the next chunk with what follows the cut.</summary>
    private static void CarryOver(TextChunk full, TextChunk next)
    {
        var segment = full.Segments[^1];
        var text = full.Text(segment);
        var cut = text.Length <= 2 ? text.Length : TextCut.Find(text);
        next.Begin(startsDocument: false, segment.HeldOut, After(segment.Place, text[..cut]));
        next.Append(text[cut..]);
        full.Shorten(cut);
    }

    /// <summary>The place behind a text: records count their characters, files their lines.</summary>
    private static TextPiece After(in TextPiece place, ReadOnlySpan<char> text) => place.Record is { } record
        ? place with { Record = record with { Characters = record.Characters + CodePoints.Count(text) } }
        : place with { Line = place.Line + text.Count('\n') };

    /// <summary>How many units of a text fit into a room without cutting a character in two.</summary>
    private static int Fitting(ReadOnlySpan<char> text, int room) =>
        room >= text.Length ? text.Length
        : room > 0 && char.IsHighSurrogate(text[room - 1]) ? room - 1
        : room;
}
