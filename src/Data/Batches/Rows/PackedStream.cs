namespace Trainer.Data;

/// <summary>A part of a document, or all of it.</summary>
/// <param name="Start">The index of its first token.</param>
/// <param name="Length">Its tokens.</param>
/// <param name="EndsDocument">Whether no token of the document follows.</param>
internal readonly record struct DocumentPart(long Start, int Length, bool EndsDocument);

/// <summary>Documents put together into rows as full as can be.</summary>
/// <remarks>Each epoch visits every token of every document once. Documents longer than a row are cut, each epoch
/// elsewhere. Within a block the longest part goes first, into the fullest row that has room for it (best fit decreasing), which
/// leaves very little room unused (Ding et al. 2024, arXiv 2404.10830).</remarks>
/// <param name="range">The tokens, for messages.</param>
/// <param name="documents">The documents.</param>
/// <param name="columns">The length of a row.</param>
/// <param name="seed">Chooses the sequence.</param>
internal sealed class PackedStream(TokenRange range, DocumentTable documents, int columns, long seed)
    : BlockStream<DocumentPart[]>(range.Name, documents.Count, seed)
{
    protected override DocumentPart[][] Plan(ReadOnlySpan<long> items, UInt128 before, ulong epochKey, ulong blockKey)
    {
        var parts = new List<DocumentPart>(items.Length);
        foreach (var document in items)
            Cut(document, epochKey, parts);
        return Shuffle(Pack(parts), blockKey);
    }

    private void Cut(long document, ulong epochKey, List<DocumentPart> parts)
    {
        var (start, length) = documents[document];
        var end = start + length;
        // The first part is shorter by an offset of this epoch, so that cuts fall on other places in the next one.
        var part = length <= columns ? length : 1 + (long)(KeyedPermutation.Mix(epochKey + 5 + (ulong)document) % (ulong)columns);
        for (; start < end; start += part, part = Math.Min(columns, end - start))
            parts.Add(new DocumentPart(start, (int)part, start + part == end));
    }

    private List<DocumentPart[]> Pack(List<DocumentPart> parts)
    {
        var rows = new List<List<DocumentPart>>();
        var open = new SortedSet<(int Room, int Row)>();
        foreach (var part in parts.OrderByDescending(part => part.Length))   // stable, so that equal lengths keep their shuffled order
        {
            var (room, row) = Fullest(open, part.Length);
            if (row < 0)
            {
                (room, row) = (columns, rows.Count);
                rows.Add([]);
            }
            open.Remove((room, row));
            rows[row].Add(part);
            if (room > part.Length)
                open.Add((room - part.Length, row));
        }
        return [.. rows.Select(row => row.ToArray())];
    }

    /// <summary>The row with the least room that still suffices; −1 where there is none.</summary>
    private static (int Room, int Row) Fullest(SortedSet<(int Room, int Row)> open, int length)
    {
        foreach (var row in open.GetViewBetween((length, 0), (int.MaxValue, int.MaxValue)))
            return row;
        return (0, -1);
    }
}
